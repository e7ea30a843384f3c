// The official TypeScript SDK, version 1. The application decides what its model reads.
import { readFileSync } from "node:fs";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { serve } from "./session.mjs";

const { version } = JSON.parse(readFileSync("node_modules/@modelcontextprotocol/sdk/package.json", "utf8"));
const { command, args, env, url, headers } = JSON.parse(process.argv[2]);
const client = new Client({ name: "journey", version: "1" });
await client.connect(
  url
    ? new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })
    : new StdioClientTransport({ command, args, env }),
);
await serve(client, { "@modelcontextprotocol/sdk": version }, (call, options) =>
  client.callTool(call, undefined, options),
);
