// The script of a web page that is a client: rolldown makes one file of it and the official SDK, for a browser.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const { url, token } = globalThis.settings;
const heading = document.createElement('h1');
try {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
  const client = new Client({ name: 'page', version: '1' });
  await client.connect(transport);
  const { tools } = await client.listTools();
  const result = await client.callTool({ name: 'echo', arguments: { text: 'from a page' } });
  await transport.terminateSession();
  await client.close();
  heading.textContent = `${tools.length} tools, ${result.content[0].text}`;
} catch (error) {
  heading.textContent = `refused: ${error.code ?? ''} ${error.message}`;
}
document.body.append(heading);
