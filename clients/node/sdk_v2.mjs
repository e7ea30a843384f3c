// The official TypeScript client, version 2; `variant` is its mode. The application decides what its model reads.
import { readFileSync } from "node:fs";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { serve } from "./session.mjs";

const { version } = JSON.parse(readFileSync("node_modules/@modelcontextprotocol/client/package.json", "utf8"));
const { command, args, env, url, headers, variant } = JSON.parse(process.argv[2]);
const client = new Client({ name: "journey", version: "1" }, { versionNegotiation: { mode: variant } });
await client.connect(
  url
    ? new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })
    : new StdioClientTransport({ command, args, env }),
);
await serve(client, { "@modelcontextprotocol/client": version }, (call, options) => client.callTool(call, options));
