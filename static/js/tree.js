// Trees (role=tree): one item holds the focus; arrow keys, Home and End move it, ← and → fold and unfold,
// * unfolds the level, y copies the path. Rows stand flat; aria-level says how deep each is.
import { say } from "./say.js";

const level = (item) => Number(item.getAttribute("aria-level"));
const items = (tree) => [...tree.querySelectorAll("[role=treeitem]")];

function show(tree) {
  let hiddenBelow = Infinity;
  for (const item of items(tree)) {
    if (level(item) <= hiddenBelow) hiddenBelow = Infinity;
    item.hidden = hiddenBelow !== Infinity;
    if (!item.hidden && item.getAttribute("aria-expanded") === "false") hiddenBelow = level(item);
  }
}

function fold(tree, item, open) {
  item.setAttribute("aria-expanded", String(open));
  show(tree);
}

function focus(tree, item) {
  if (!item) return;
  for (const other of items(tree)) other.tabIndex = other === item ? 0 : -1;
  item.focus();
}

function start(tree) {
  const all = items(tree);
  for (const [at, item] of all.entries()) {
    item.tabIndex = at === 0 ? 0 : -1;
    if (at + 1 < all.length && level(all[at + 1]) > level(item)) item.setAttribute("aria-expanded", "true");
  }
}

document.addEventListener("keydown", (event) => {
  const item = event.target.closest?.("[role=treeitem]");
  if (!item || event.metaKey || event.ctrlKey || event.altKey) return;
  const tree = item.closest("[role=tree]");
  const seen = items(tree).filter((other) => !other.hidden);
  const at = seen.indexOf(item);
  const expanded = item.getAttribute("aria-expanded");
  const acts = new Map([
    ["ArrowDown", () => focus(tree, seen[at + 1])],
    ["ArrowUp", () => focus(tree, seen[at - 1])],
    ["Home", () => focus(tree, seen[0])],
    ["End", () => focus(tree, seen.at(-1))],
    ["ArrowRight", () => (expanded === "false" ? fold(tree, item, true) : expanded && focus(tree, seen[at + 1]))],
    ["ArrowLeft", () => {
      if (expanded === "true") fold(tree, item, false);
      else focus(tree, seen.slice(0, at).findLast((other) => level(other) < level(item)));
    }],
    ["*", () => {
      for (const other of items(tree)) {
        if (level(other) === level(item) && other.hasAttribute("aria-expanded")) other.setAttribute("aria-expanded", "true");
      }
      show(tree);
    }],
  ]);
  const act = acts.get(event.key);
  if (act) {
    event.preventDefault();
    act();
  } else if (event.key === "y" && "singleKeys" in document.body.dataset) {
    navigator.clipboard.writeText(item.dataset.path).then(() => say(`Copied ${item.dataset.path}`));
  }
});

document.addEventListener("click", (event) => {
  const item = event.target.closest?.("[role=treeitem]");
  if (!item || !item.hasAttribute("aria-expanded") || !getSelection().isCollapsed) return;
  const tree = item.closest("[role=tree]");
  focus(tree, item);
  fold(tree, item, item.getAttribute("aria-expanded") === "false");
});

for (const tree of document.querySelectorAll("[role=tree]")) start(tree);
