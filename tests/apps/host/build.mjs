// Bundle host.js with what it imports into one file: node build.mjs <folder with node_modules> <file to write>

import { createRequire } from "node:module";
import { resolve } from "node:path";

const [tools, target] = process.argv.slice(2).map((path) => resolve(path));
const { build } = createRequire(`${tools}/`)("esbuild");
await build({
  entryPoints: [new URL("host.js", import.meta.url).pathname],
  bundle: true,
  format: "iife",
  nodePaths: [`${tools}/node_modules`],
  outfile: target,
  logLevel: "error",
});
