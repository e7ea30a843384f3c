// A host page for the tests: the official AppBridge, a sandboxed frame, and every question of the view told to Python.

import { AppBridge, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";

// What the specification asks of a host for a view that names no domains.
const POLICY =
  "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
  "img-src 'self' data:; media-src 'self' data:; connect-src 'none'";

const open = new Map();
let asked = 0;

const host = {
  log: [],
  bridge: null,
  frame: null,

  // Shows a view; resolves when it has said that it is initialized.
  async load(html, capabilities, context) {
    host.log = [];
    host.frame?.remove();
    host.frame = document.createElement("iframe");
    host.frame.setAttribute("sandbox", "allow-scripts");
    host.frame.style.cssText = "border:0;display:block;width:100%;height:200px";
    document.body.append(host.frame);
    const bridge = new AppBridge(null, { name: "test-host", version: "1" }, capabilities, { hostContext: context });
    host.bridge = bridge;
    const ready = new Promise((resolve) => (bridge.oninitialized = resolve));
    bridge.onsizechange = ({ height }) => {
      host.log.push(["size", height]);
      if (height !== undefined) host.frame.style.height = `${height}px`;
    };
    bridge.oncalltool = (params) => ask("tools/call", params);
    bridge.onreadresource = (params) => ask("resources/read", params);
    bridge.ondownloadfile = (params) => (host.log.push(["download", params]), host.download ?? {});
    bridge.onrequestdisplaymode = ({ mode }) => {
      const granted = host.refuses ? "inline" : mode;
      host.log.push(["mode", mode]);
      bridge.setHostContext({ ...host.context, displayMode: granted });
      host.context.displayMode = granted;
      return { mode: granted };
    };
    host.context = { ...context };
    await bridge.connect(new PostMessageTransport(host.frame.contentWindow, host.frame.contentWindow));
    host.frame.srcdoc = html.replace("<head>", `<head><meta http-equiv="Content-Security-Policy" content="${POLICY}">`);
    await ready;
  },

  change(changes) {
    Object.assign(host.context, changes);
    host.bridge.setHostContext({ ...host.context });
  },

  answer(id, result, error) {
    const { resolve, reject } = open.get(id);
    open.delete(id);
    if (error) reject(new Error(error));
    else resolve(result);
  },
};

function ask(method, params) {
  host.log.push([method, params]);
  const id = ++asked;
  const answer = new Promise((resolve, reject) => open.set(id, { resolve, reject }));
  window.askPython(JSON.stringify({ id, method, params }));
  return answer;
}

window.host = host;
