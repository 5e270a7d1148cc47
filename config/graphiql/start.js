// Questions go where every client's go: over HTTP to /graphql/, subscriptions over a WebSocket to the same address.
"use strict";

const address = new URL("/graphql/", window.location.href);
const socket = new URL(address);
socket.protocol = address.protocol === "https:" ? "wss:" : "ws:";

const question = `# An order of a guest is opened by its token: { "X-Order-Token": "…" } under "Headers" below.
{
  products(first: 3) {
    edges { node { sku name price currency available } }
    pageInfo { hasNextPage endCursor }
  }
}
`;

const fetcher = GraphiQL.createFetcher({
  url: address.href,
  wsClient: graphqlWs.createClient({ url: socket.href, lazy: true }),
});
ReactDOM.createRoot(document.getElementById("explorer")).render(
  React.createElement(GraphiQL, { fetcher, defaultQuery: question, isHeadersEditorEnabled: true, shouldPersistHeaders: false }),
);
