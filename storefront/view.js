// Puts a state on the page. Text only ever goes through textContent, so nothing that was stored can become markup.

import { now } from "./api.js";
import { isKeptApart, isPayable } from "./scene.js";
import { countdown, fill, methodName, moment, money, timeOfDay, wordsOf } from "./words.js";

const TONES = {
  loading: "busy", asking: "busy", confirming: "busy", ready: "wait", confirmingLong: "wait", closing: "wait",
  mismatched: "bad", failed: "bad", noToken: "bad", notFound: "bad",
  paid: "good", fulfilled: "good", cancelled: "over", expired: "over", refunded: "over",
}; // prettier-ignore
const WITH_COUNTDOWN = new Set(["ready", "failed", "confirmingLong"]);
const WITHOUT_AMOUNT = new Set(["loading", "noToken", "notFound", "cancelled", "expired", "refunded"]);
// Where cancelling would only get in the way of money that may be there already.
const NOT_CANCELLED = new Set(["mismatched", "closing"]);
// Failures that the headline has told already, in the reader's own language.
const TOLD = new Set(["the last try failed", "the payment failed"]);

export const byId = (id) => document.getElementById(id);

function write(node, text) {
  // A live region speaks whenever its text is set, also to the same text.
  if (node.textContent !== text) node.textContent = text;
}

function show(id, text) {
  const node = byId(id);
  write(node, text);
  node.hidden = !text;
}

function element(tag, ...children) {
  const node = document.createElement(tag);
  node.append(...children);
  return node;
}

/** Everything there is to see. `state` is described in order.js. */
export function render(state) {
  const { language, order, scene } = state;
  const words = wordsOf(language);
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-word]")) write(node, words[node.dataset.word]);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", words[node.dataset.label]);
  const [label, code] = language === "am" ? ["English", "en"] : ["አማርኛ", "am"];
  const toggle = byId("language");
  write(toggle, label);
  toggle.lang = code;
  write(byId("number"), state.number);

  const [headline, message] = words.scenes[scene];
  const amount = order ? money(order.total, order.currency, language) : "";
  byId("state").dataset.tone = TONES[scene];
  write(byId("headline"), headline);
  document.title = `${headline} · ${state.number}`;
  write(byId("message"), messageOf(state, words, message));
  show("amount", WITHOUT_AMOUNT.has(scene) ? "" : amount);
  byId("late").hidden = scene !== "loading";
  byId("details").hidden = byId("actions").hidden = !order;
  show("connection", connectionOf(state, words));
  show("notice", noticeOf(state, words));
  renderPay(state, words, amount);
  renderTime(state);
  if (order) renderDetails(state, words);
}

function reasonOf({ attempts, scene, notice }, words) {
  const reason = scene === "failed" && !notice ? (attempts[0]?.failure_reason ?? "") : "";
  if (reason.startsWith("Chapa unreachable")) return words.unavailable;
  return TOLD.has(reason) ? "" : reason;
}

function messageOf(state, words, message) {
  const { order, attempts, language } = state;
  if (!order) return message;
  const text = fill(message, {
    contact: order.email || order.phone_number,
    refunded: money(order.refunded_total, order.currency, language),
  });
  const apart = attempts
    .filter(isKeptApart)
    .map((attempt) => fill(words.keptApart, { amount: money(attempt.captured_amount, attempt.currency, language) }));
  return [text, reasonOf(state, words), ...apart].filter(Boolean).join("\n");
}

function connectionOf({ connection, seenAt, language }, words) {
  if (!connection) return "";
  const stood = seenAt ? ` ${fill(words.asOf, { time: timeOfDay(seenAt, language) })}` : "";
  return words[connection] + stood;
}

function noticeOf({ notice }, words) {
  if (!notice) return "";
  const reference = notice.requestId ? `(${notice.requestId})` : "";
  return fill(words[notice.word], { detail: notice.detail, reference }).trim();
}

function renderPay({ scene, paying, waitUntil }, words, amount) {
  const button = byId("pay");
  const isMain = scene === "ready" || scene === "failed";
  const isSecond = scene === "confirming" || scene === "confirmingLong";
  button.hidden = !(isMain || isSecond || paying);
  button.classList.toggle("second", isSecond && !paying);
  const seconds = Math.ceil((waitUntil - Date.now()) / 1000);
  // Not `disabled`: that would take the focus away from whoever uses a keyboard or a screen reader.
  button.setAttribute("aria-disabled", String(Boolean(paying) || seconds > 0));
  const label = isSecond ? words.payStill : scene === "failed" ? words.retry : fill(words.pay, { amount });
  write(button, paying ? words.opening : seconds > 0 ? fill(words.retryIn, { seconds }) : label);
  show("pay-hint", isMain && !paying ? words.payHint : "");
}

/** What changes with the seconds alone. */
export function renderTime(state) {
  const { order, scene, language } = state;
  const words = wordsOf(language);
  const left = order ? Date.parse(order.expires_at) - now() : 0;
  byId("countdown").hidden = !(WITH_COUNTDOWN.has(scene) && left > 0);
  write(byId("countdown-label"), words.timeLeft);
  write(byId("countdown-left"), countdown(left));
  if (order) renderPay(state, words, money(order.total, order.currency, language));
}

function renderDetails({ order, attempts, language, scene, token, copied }, words) {
  const cash = (amount) => money(amount, order.currency, language);
  const paidBy = attempts.find((attempt) => attempt.settles_order);
  const lines = order.items.map((item) => {
    const price = element("span", cash(item.line_total));
    price.className = "sum";
    return element("li", element("span", item.name, element("small", `${item.quantity} × ${cash(item.unit_price)}`)), price);
  });
  if (order.delivery) {
    const { name, price, address } = order.delivery;
    const sum = element("span", cash(price));
    sum.className = "sum";
    const where = address && [address.recipient_name, address.landmark, address.sub_city, address.city].filter(Boolean).join(", ");
    lines.push(element("li", element("span", name[language] ?? name.en, ...(where ? [element("small", where)] : [])), sum));
  }
  byId("lines").replaceChildren(...lines);
  const facts = [
    ["total", cash(order.total)],
    ["givenBack", /[1-9]/.test(order.refunded_total) && cash(order.refunded_total)],
    ["orderedAt", moment(order.created_at, language)],
    ["paidAt", order.paid_at && moment(order.paid_at, language)],
    ["method", methodName(paidBy?.method)],
    ["reference", paidBy?.gateway_reference],
  ];
  const rows = facts.filter(([, value]) => value).map(([name, value]) => {
    const row = element("div", element("dt", words[name]), element("dd", value));
    row.className = name;
    return row;
  });
  byId("facts").replaceChildren(...rows);
  byId("cancel").hidden = !order.can_cancel || NOT_CANCELLED.has(scene);
  byId("copy").hidden = !token;
  write(byId("copied"), copied ? words[copied] : "");
  write(byId("confirm-text"), isPayable(attempts[0]) ? `${words.cancelText} ${words.cancelTextPaying}` : words.cancelText);
}
