// Draws Plotly figures: <div data-chart="<id of a json_script>">. Colours are token names ("token:s1"),
// read from the style sheet now and again when the theme changes. Plotly is loaded when first needed.
// Plotly leaves an inline style out when an element of its id is there, and our policy would refuse it:
// its layout rules stand in plot.css; the other one is of its maps, which we do not draw.
const STYLES_LEFT_OUT = [
  "plotly.js-style-global",
  "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53",
];
let loading = null;

function plotly() {
  loading ??= new Promise((resolve, reject) => {
    for (const id of STYLES_LEFT_OUT) {
      const mark = document.createElement("meta");
      mark.id = id;
      mark.className = "no-inline-styles";
      document.head.append(mark);
    }
    const script = document.createElement("script");
    script.src = document.documentElement.dataset.plotly;
    script.onload = () => resolve(window.Plotly);
    script.onerror = reject;
    document.head.append(script);
  });
  return loading;
}

function colourOf(token) {
  const probe = document.createElement("i");
  probe.style.color = `var(--${token})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

function resolveTokens(value) {
  if (typeof value === "string") return value.startsWith("token:") ? colourOf(value.slice(6)) : value;
  if (Array.isArray(value)) return value.map(resolveTokens);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolveTokens(item)]));
  }
  return value;
}

async function draw(place) {
  const source = document.getElementById(place.dataset.chart);
  if (!source) return;
  const figure = resolveTokens(JSON.parse(source.textContent));
  const Plotly = await plotly();
  const font = { family: getComputedStyle(document.body).fontFamily, size: 12, color: colourOf("ink-3") };
  const layout = {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 48, r: 12, t: 12, b: 32 },
    height: 240,
    showlegend: false,
    hovermode: "x unified",
    hoverlabel: { bgcolor: colourOf("sheet"), bordercolor: colourOf("line-2"), font: { color: colourOf("ink") } },
    ...figure.layout,
    font,
  };
  // As many dates as fit side by side, so that none is turned on a phone.
  layout.xaxis = { ...layout.xaxis, tickangle: 0, nticks: Math.max(3, Math.floor(place.clientWidth / 95)) };
  await Plotly.react(place, figure.data, layout, { displayModeBar: false, responsive: true });
  place.dataset.drawn = "1";
}

function drawAll(root = document) {
  for (const place of root.querySelectorAll("[data-chart]")) draw(place);
}

drawAll();
document.addEventListener("portal:theme", () => drawAll());
document.addEventListener("portal:swapped", (event) => drawAll(event.target));
document.addEventListener("htmx:afterSwap", (event) => drawAll(event.target));
