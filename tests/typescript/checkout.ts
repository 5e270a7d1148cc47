// A guest buys coffee: browse, quote, place, pay, watch. Nobody runs this; `tsc` holds it against the types that are
// made of docs/openapi.yaml, so what it does is what a front end in TypeScript can do.
import createClient from "openapi-fetch";

import type { components, paths } from "./schema";

type Order = components["schemas"]["Order"];
type Payment = components["schemas"]["Payment"];
type Problem = components["schemas"]["Problem"];

const api = createClient<paths>({ baseUrl: "https://shop.example" });

/** What the API refused, with the code that programs decide by. */
class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

function given<T>(answer: { data?: T; error?: Problem }): T {
  if (answer.data === undefined) throw answer.error ? new Refused(answer.error) : new Error("no answer");
  return answer.data;
}

export async function browse(search: string) {
  const page = given(await api.GET("/api/v1/products/", { params: { query: { search, in_stock: true } } }));
  return page.results.filter((product) => product.available > 0);
}

export async function buy(search: string, email: string): Promise<URL | null> {
  const [product] = await browse(search);
  if (product === undefined) return null;

  const items = [{ sku: product.sku, quantity: 2 }];
  const quote = given(await api.POST("/api/v1/orders/quote/", { body: { items } }));

  // One key for one wish: a repeat after a lost answer is sent with the same.
  const order = given(
    await api.POST("/api/v1/orders/", {
      params: { header: { "Idempotency-Key": crypto.randomUUID() } },
      body: { items, email, language: "am", expected_total: quote.total },
    }),
  );
  const proof = { "X-Order-Token": order.access_token ?? "" };

  const payment = given(
    await api.POST("/api/v1/orders/{number}/payments/", {
      params: {
        path: { number: order.number },
        header: { "Idempotency-Key": crypto.randomUUID(), ...proof },
      },
      body: { return_url: "https://shop.example/thanks" },
    }),
  );
  watch(order, (now) => console.log(now.status));
  return whereToPay(payment);
}

function whereToPay(payment: Payment): URL | null {
  switch (payment.status) {
    case "pending":
      return payment.checkout_url === null ? null : new URL(payment.checkout_url);
    case "created":
    case "unknown": // Chapa has not answered yet: the stream will tell
    case "succeeded":
    case "failed":
    case "cancelled":
    case "mismatched":
      return null;
  }
}

/** A browser's EventSource sends no headers: the ticket stands in `stream_url`. */
export function watch(order: Order, heard: (order: Order) => void): void {
  if (order.stream_url === null) return;
  const stream = new EventSource(order.stream_url);
  stream.addEventListener("order", (event) => heard(JSON.parse(event.data) as Order));
  stream.addEventListener("end", () => stream.close());
}

/** Staff: ask for a part of a payment back. */
export async function refund(bearer: string, paymentId: string) {
  return given(
    await api.POST("/api/v1/payments/{payment_id}/refunds/", {
      params: { path: { payment_id: paymentId }, header: { "Idempotency-Key": crypto.randomUUID() } },
      headers: { Authorization: `Bearer ${bearer}` },
      body: { amount: "1.00", reason: "a broken cup" },
    }),
  );
}
