// What the types must not let through. Each line below its mark is a mistake; `tsc` fails where it finds none there.
import createClient from "openapi-fetch";

import type { components, paths } from "./schema";

const api = createClient<paths>({ baseUrl: "https://shop.example" });
const items = [{ sku: "COFFEE-YIRG-250", quantity: 2 }];

// @ts-expect-error - money is text, never a number
export const total: components["schemas"]["Order"]["total"] = 900;

// @ts-expect-error - there is no such status
export const status: components["schemas"]["Order"]["status"] = "payed";

// @ts-expect-error - an order wants an Idempotency-Key
export const unkeyed = api.POST("/api/v1/orders/", { body: { items } });

// @ts-expect-error - unknown fields are refused
export const misspelt: components["schemas"]["OrderRequest"] = { items, emial: "abebech@gmail.com" };

// @ts-expect-error - there is no such address
export const nowhere = api.GET("/api/v1/order/");
