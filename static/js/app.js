// Starts every behaviour once; each module attaches itself by data attributes and survives swaps.
import "./theme.js";
import "./finder.js";
import "./keys.js";
import "./copy.js";
import "./live.js";
import "./lists.js";
import "./tree.js";
import "./forms.js";
import "./chart.js";
import "./passkeys.js";
