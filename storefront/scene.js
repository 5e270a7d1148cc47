// Which of its scenes the page shows. Pure: facts in, a name out.

const CLOSED = new Set(["paid", "fulfilled", "refunded", "cancelled", "expired"]);
const WITHOUT_PAGE = new Set(["created", "unknown"]);

/** Chapa was asked for a page and has not answered: nobody knows yet whether there is one. */
export const isWithoutPage = (attempt) => WITHOUT_PAGE.has(attempt?.status);

/** There is a page on which somebody may be paying right now. */
export const isPayable = (attempt) => attempt?.status === "pending";

/** This attempt paid the order; where the order does not say so yet, it was read a moment earlier. */
export const isSettling = (attempt) => Boolean(attempt?.settles_order);

/** Money that pays no order: it came too late, or twice. It is given back. */
export const isKeptApart = (attempt) => attempt.status === "succeeded" && !isSettling(attempt);

/**
 * @param order, attempts  what the API said; the newest attempt first
 * @param now              the server's time in milliseconds
 * @param asking           somebody here tapped "pay" and Chapa's page is not there yet
 * @param confirming       somebody came back from Chapa, or an attempt was open when the page was
 * @param justBack         came back so recently that the last known failure may be an older one
 */
export function sceneOf({ order, attempts, now, asking, confirming, justBack }) {
  if (CLOSED.has(order.status)) return order.status;
  const latest = attempts[0];
  if (attempts.some((attempt) => attempt.status === "mismatched")) return "mismatched";
  if (isSettling(latest)) return "confirming";
  if (asking || isWithoutPage(latest)) return "asking";
  if (isPayable(latest) && confirming && (justBack || !latest.failure_reason)) return "confirming";
  if (!order.can_pay || now >= Date.parse(order.expires_at)) return "closing";
  if (latest?.status === "failed" || (isPayable(latest) && latest.failure_reason)) return "failed";
  return "ready";
}
