// The part that the clients of this folder share: orders as JSON lines in, results as JSON lines out.
import { createInterface } from "node:readline";

/** Carry out the orders of stdin with `client`, an MCP client that is connected. */
export async function serve(client, versions, callTool) {
  const answer = (content) => process.stdout.write(JSON.stringify(content) + "\n");
  answer({ connected: true, versions });
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    try {
      answer(await carryOut(client, order, callTool));
    } catch (error) {
      answer({ raised: `${error.name}: ${error.message}` });
    }
  }
  await client.close();
}

async function carryOut(client, order, callTool) {
  if (order.do === "tools") {
    const { tools } = await client.listTools();
    return { tools: Object.fromEntries(tools.map((tool) => [tool.name, tool.inputSchema])) };
  }
  const call = { name: order.name, arguments: order.arguments };
  if (order.do === "call") {
    return { model_reads: JSON.stringify(await callTool(call, { onprogress: () => {} })) };
  }
  const signal = AbortSignal.timeout(order.after_s * 1000);
  return callTool(call, { signal }).then(
    () => ({ abandoned: false }),
    () => ({ abandoned: true }),
  );
}
