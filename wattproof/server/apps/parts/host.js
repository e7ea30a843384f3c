// The host of this view, spoken to by JSON-RPC over postMessage (MCP Apps, 2026-01-26).

const host = { can: {}, context: {}, on: {} };
const waiting = new Map();
let asked = 0;

const post = (message) => parent.postMessage({ jsonrpc: "2.0", ...message }, "*");

host.tell = (method, params = {}) => post({ method, params });

// The host's answer; an error where it refuses, or says nothing for a minute.
host.ask = (method, params = {}) =>
  new Promise((resolve, reject) => {
    const id = ++asked;
    const late = setTimeout(() => waiting.delete(id) && reject(new Error("The host did not answer.")), 60000);
    waiting.set(id, { resolve, reject, late });
    post({ id, method, params });
  });

const heard = {
  "ui/notifications/tool-input": (params) => host.on.input?.(isObject(params.arguments) ? params.arguments : {}),
  "ui/notifications/tool-result": (params) => host.on.result?.(params),
  "ui/notifications/tool-cancelled": (params) => host.on.cancelled?.(params.reason),
  "ui/notifications/host-context-changed": (params) => takeContext(params),
};

addEventListener("message", ({ source, data }) => {
  if (source !== parent || data?.jsonrpc !== "2.0") return;
  if (data.method === undefined) {
    const question = waiting.get(data.id);
    if (question === undefined) return;
    waiting.delete(data.id);
    clearTimeout(question.late);
    if (data.error) question.reject(new Error(String(data.error.message ?? "The host refused.").slice(0, 300)));
    else question.resolve(data.result);
  } else if (data.id === undefined) heard[data.method]?.(isObject(data.params) ? data.params : {});
  else if (["ui/resource-teardown", "ping"].includes(data.method)) post({ id: data.id, result: {} });
  else post({ id: data.id, error: { code: -32601, message: "Method not found" } });
});

function takeContext(changes) {
  Object.assign(host.context, changes);
  const root = document.documentElement;
  if (["light", "dark"].includes(changes.theme)) root.style.colorScheme = changes.theme;
  for (const [name, value] of Object.entries(changes.styles?.variables ?? {}))
    if (/^--(color|font|border)-[\w-]+$/.test(name) && typeof value === "string") root.style.setProperty(name, value);
  for (const [side, inset] of Object.entries(changes.safeAreaInsets ?? {}))
    if (/^(top|right|bottom|left)$/.test(side) && inset > 0) document.body.style.setProperty(`padding-${side}`, `${inset}px`);
  root.dataset.mode = host.context.displayMode === "fullscreen" ? "fullscreen" : "inline";
  host.on.context?.();
}

async function connect(name, modes) {
  const answer = await host.ask("ui/initialize", {
    protocolVersion: "2026-01-26",
    appInfo: { name: `wattproof-${name}`, version: "1" },
    appCapabilities: { availableDisplayModes: modes },
  });
  host.can = isObject(answer?.hostCapabilities) ? answer.hostCapabilities : {};
  takeContext(isObject(answer?.hostContext) ? answer.hostContext : {});
  host.tell("ui/notifications/initialized");
  const measured = () => host.tell("ui/notifications/size-changed", { height: Math.ceil(document.body.offsetHeight) });
  new ResizeObserver(measured).observe(document.body);
}
