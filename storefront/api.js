// Speaks the public API: about one order, and about a forgotten password.

/** No answer that is ours came back: no network, too slow, or a captive portal's page in its place. */
export class Unreachable extends Error {}

const READ_MS = 12_000;
const START_MS = 30_000; // the server itself gives Chapa fifteen seconds
const RETRY_SECONDS = 5;
const LONGEST_RETRY_SECONDS = 900;

let skew = 0;

/** The server's time in milliseconds; a phone's own clock may be minutes off. */
export const now = () => Date.now() + skew;

/** `{status, body, retryAfter}` of an answer, refusals included. Throws Unreachable. */
async function call(method, path, { token, key, body, patience = READ_MS } = {}) {
  const headers = { Accept: "application/json" };
  if (token) headers["X-Order-Token"] = token;
  if (key) headers["Idempotency-Key"] = key;
  if (body) headers["Content-Type"] = "application/json";
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), patience);
  try {
    const response = await fetch(path, {
      method,
      headers,
      body,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: abort.signal,
    });
    const text = await response.text();
    learnTime(response.headers.get("Date"));
    return {
      status: response.status,
      body: response.status < 500 && response.status !== 204 ? JSON.parse(text) : parsed(text),
      retryAfter: seconds(response.headers.get("Retry-After")),
    };
  } catch (problem) {
    throw new Unreachable(String(problem));
  } finally {
    clearTimeout(timer);
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {}; // a proxy's own page
  }
}

function learnTime(header) {
  const theirs = Date.parse(header ?? "");
  if (!Number.isNaN(theirs)) skew = theirs - Date.now();
}

function seconds(header) {
  const given = Number.parseInt(header ?? "", 10);
  return given > 0 ? Math.min(given, LONGEST_RETRY_SECONDS) : RETRY_SECONDS;
}

/** The calls about one order, for whoever holds its token. */
export function orderApi({ number, token }) {
  const base = `/api/v1/orders/${number}/`;
  return {
    order: () => call("GET", base, { token }),
    attempts: () => call("GET", `${base}payments/`, { token }),
    startPayment: (key) => call("POST", `${base}payments/`, { token, key, body: "{}", patience: START_MS }),
    cancel: () => call("POST", `${base}cancel/`, { token, body: "{}" }),
    /** A hint that it is worth asking Chapa now. The answer says nothing. */
    hint: (txRef) => call("GET", `/api/v1/payments/chapa/callback/?trx_ref=${encodeURIComponent(txRef)}`),
  };
}

/** The calls about a forgotten password. */
export const passwordApi = {
  ask: (email) => call("POST", "/api/v1/auth/password/reset/", { body: JSON.stringify({ email }) }),
  confirm: (token, password) =>
    call("POST", "/api/v1/auth/password/reset/confirm/", { body: JSON.stringify({ token, password }) }),
};
