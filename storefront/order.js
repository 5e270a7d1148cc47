// One order's page: look what is known, show it, look again; and take the shopper to Chapa and back.

import { Unreachable, now, orderApi } from "./api.js";
import { chooseLanguage, chosenLanguage, keptFor } from "./kept.js";
import { isPayable, isSettling, isWithoutPage, sceneOf } from "./scene.js";
import { listener } from "./stream.js";
import { byId, render, renderTime } from "./view.js";
import { isLanguage } from "./words.js";

const BACKOFF_MS = [2_000, 4_000, 8_000, 15_000, 30_000];
const CALM_MS = 15_000;
const CLOSED_MS = 60_000;
const JUST_BACK_MS = 5_000; // in which our server asks Chapa what became of the last try
const CONFIRMING_LONG_MS = 30_000;
const HINT_AFTER_MS = 5_000;
const FRESH_ATTEMPT_MS = 60_000; // in which a worker replaces an attempt whose page was lost
const LEAVING_MS = 20_000;
const NETWORK_TRIES = 2;
const IN_PROGRESS_MS = 60_000;

const address = new URL(location.href);
const number = numberIn(location.pathname);
const kept = keptFor(number);
const token = address.searchParams.get("token") || kept.get("token");
const isToken = /^[\w-]+$/.test(token); // nothing else can be sent in a header, or is one of ours
const api = orderApi({ number, token });
const stream = listener({ tell: heard, changed: waitForNextLook });
const hinted = new Set();

/** What `render` shows. Times are this device's own, except in `order`, `attempts` and `seenAt`. */
const state = {
  number,
  token,
  language: firstLanguage(),
  order: null,
  attempts: [], // newest first
  scene: isToken ? "loading" : token ? "notFound" : "noToken",
  seenAt: null,
  connection: "", // "offline", "weak", "busy": why what is shown may be old
  notice: null, // {word, detail?, requestId?}: what became of the last tap
  paying: false, // a tap on "pay" is being worked on
  waitUntil: 0, // the server asked us to wait so long
  asking: null, // {since, go}: Chapa's page is not there yet; `go`: take the shopper there once it is
  confirming: null, // {since, justBack}: a payment may be on its way
  copied: "", // the word for what became of copying the link
};
let languageChosen = isLanguage(address.searchParams.get("lang")) || isLanguage(chosenLanguage());
let key = kept.get("key");
let polls = 0;
let failures = 0;
let pause = 0;
let timer = 0;
let looking = null;
let news = 0; // how often the stream has told something

// --- The beginning ---------------------------------------------------------------------------------------------------

function numberIn(path) {
  const [, first, second] = /^\/order\/(\w{4})-?(\w{4})\//.exec(path) ?? ["", "", ""];
  return `${first}-${second}`.toUpperCase();
}

function firstLanguage() {
  const wishes = [address.searchParams.get("lang"), chosenLanguage(), ...(navigator.languages ?? [])];
  return wishes.map((wish) => (wish ?? "").slice(0, 2).toLowerCase()).find(isLanguage) ?? "en";
}

/** The token leaves the address bar: it must not be photographed, shared by accident, or stay in the history. */
function hideToken() {
  if (!isToken || !kept.put("token", token)) return; // without storage a reload would lose it
  for (const name of ["token", "trx_ref", "tx_ref", "ref_id", "status"]) address.searchParams.delete(name);
  history.replaceState(history.state, "", address);
}

function begin() {
  const returned = kept.get("paying") || address.searchParams.get("trx_ref") || address.searchParams.get("tx_ref");
  hideToken();
  render(state);
  byId("pay").addEventListener("click", pay);
  byId("cancel").addEventListener("click", askWhetherToCancel);
  byId("confirm").addEventListener("close", () => byId("confirm").returnValue === "cancel" && cancel());
  byId("copy").addEventListener("click", copyLink);
  byId("language").addEventListener("click", switchLanguage);
  if (!isToken) return;
  expectPayment(Boolean(returned));
  if (returned) hint(returned); // beside the first look, not after it: a round trip is long on a weak network
  addEventListener("pageshow", (event) => event.persisted && comeBack());
  addEventListener("online", look);
  addEventListener("offline", () => show({ connection: "offline" }));
  addEventListener("focus", look);
  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : look()));
  setInterval(tick, 1_000);
  look();
}

/** Back by the browser's own button, to this page as it was left. */
function comeBack() {
  hinted.clear();
  expectPayment(true);
  show({ paying: false, asking: null });
  look();
}

/** Nobody looks at the page. */
function rest() {
  clearTimeout(timer);
  stream.close();
}

function expectPayment(justBack) {
  state.confirming = { since: Date.now(), justBack };
  polls = 0;
}

// --- Looking ---------------------------------------------------------------------------------------------------------

/** Ask the server how things stand and show it; then the next time is set. Never two at once. */
function look() {
  clearTimeout(timer);
  looking ??= ask().finally(() => {
    looking = null;
    waitForNextLook();
  });
  return looking;
}

function waitForNextLook() {
  clearTimeout(timer);
  if (!looking && !document.hidden && state.scene !== "notFound") timer = setTimeout(look, untilNextLook());
}

/** The stream told how something stands now. */
function heard(kind, data) {
  if (!state.order) return;
  news += 1;
  if (kind === "order") return learn(data, state.attempts);
  const others = state.attempts.filter((attempt) => attempt.id !== data.id);
  const newestFirst = (one, other) => Date.parse(other.created_at) - Date.parse(one.created_at);
  learn(state.order, [data, ...others].sort(newestFirst));
}

async function ask() {
  const before = news;
  try {
    const [order, attempts] = await Promise.all([api.order(), api.attempts()]);
    const refusal = [order, attempts].find((answer) => answer.status !== 200);
    if (refusal) return refused(refusal);
    failures = pause = 0;
    if (news !== before) return ask(); // what the stream told meanwhile may be newer than these answers
    learn(order.body, attempts.body.results);
    if (!document.hidden && !isAtRest()) stream.follow(order.body.stream_url);
  } catch (problem) {
    if (!(problem instanceof Unreachable)) throw problem;
    failures += 1;
    show({ connection: navigator.onLine === false ? "offline" : "weak" });
  }
}

function refused({ status, retryAfter }) {
  if (status === 404) {
    show({ order: null, attempts: [], scene: "notFound", connection: "" });
    return;
  }
  failures += 1;
  pause = retryAfter * 1_000;
  show({ connection: "busy" });
}

function learn(order, attempts) {
  if (!languageChosen && isLanguage(order.language)) state.language = order.language;
  Object.assign(state, { order, attempts, seenAt: now(), connection: "" });
  const [latest] = attempts;
  if (order.status !== "awaiting_payment") {
    Object.assign(state, { asking: null, confirming: null, notice: null });
    forgetIntent();
  } else if (isPayable(latest) && state.confirming) {
    hint(latest.tx_ref);
  } else if (isSettling(latest)) {
    state.confirming ??= { since: Date.now(), justBack: false };
  } else if (!isWithoutPage(latest)) {
    state.confirming = null;
    kept.drop("paying");
  }
  if (state.asking || isWithoutPage(latest)) followAsking(latest);
  show({});
}

function followAsking(latest) {
  state.asking ??= { since: Date.now(), go: false };
  const elapsed = Date.now() - state.asking.since;
  if (isWithoutPage(latest)) {
    if (elapsed > HINT_AFTER_MS) hint(latest.tx_ref);
  } else if (isPayable(latest)) {
    const { go } = state.asking;
    Object.assign(state, { asking: null, confirming: null });
    if (go && !document.hidden) leaveFor(latest);
  } else if (latest?.status !== "cancelled" || elapsed > FRESH_ATTEMPT_MS) {
    state.asking = null;
  }
}

/** Tell the server, once, that it is worth asking Chapa about this attempt now. */
async function hint(txRef) {
  if (hinted.has(txRef)) return;
  hinted.add(txRef);
  try {
    await api.hint(txRef);
  } catch {
    hinted.delete(txRef); // not sent: with the next look
  }
}

function untilNextLook() {
  if (failures) return Math.max(pause, BACKOFF_MS[Math.min(failures, BACKOFF_MS.length) - 1]);
  if (stream.hears() && !state.asking) return CLOSED_MS; // in case that it is dead and does not know
  if (state.asking || state.confirming) {
    polls += 1;
    return polls <= 10 ? 1_000 : polls <= 20 ? 2_000 : polls <= 40 ? 5_000 : CALM_MS;
  }
  return isAtRest() ? CLOSED_MS : CALM_MS;
}

/** Nothing is expected to happen soon. */
function isAtRest() {
  const { order, attempts } = state;
  const isOver = order?.status !== "awaiting_payment" && !isPayable(attempts[0]);
  return isOver && (order?.status !== "paid" || attempts.some(isSettling));
}

function show(changes) {
  Object.assign(state, changes);
  if (state.order) state.scene = currentScene();
  render(state);
}

function currentScene() {
  const { order, attempts, asking, confirming } = state;
  const elapsed = Date.now() - (confirming?.since ?? 0);
  const justBack = Boolean(confirming?.justBack) && elapsed < JUST_BACK_MS;
  const scene = sceneOf({ order, attempts, now: now(), asking, confirming, justBack });
  return scene === "confirming" && elapsed > CONFIRMING_LONG_MS ? "confirmingLong" : scene;
}

/** Time alone moves some scenes on: the order's runs out, or a confirmation takes long. */
function tick() {
  if (!state.order) return;
  const scene = currentScene();
  if (scene === state.scene) return renderTime(state);
  show({});
  if (scene === "closing") look();
}

// --- Paying ----------------------------------------------------------------------------------------------------------

async function pay() {
  if (state.paying || state.waitUntil > Date.now()) return;
  show({ paying: true, notice: null });
  const isLeaving = await startPayment();
  if (!isLeaving) show({ paying: false });
}

/** Start a payment, once, however often it is tapped, sent or reloaded. True when Chapa's page is being opened. */
async function startPayment() {
  key = key || newKey();
  kept.put("key", key);
  const started = Date.now();
  for (let tries = 1; ; tries += 1) {
    try {
      const answer = await api.startPayment(key);
      if (answer.body.code !== "request_in_progress" || Date.now() - started > IN_PROGRESS_MS) return proceed(answer);
      await sleep(answer.retryAfter * 1_000);
    } catch (problem) {
      if (!(problem instanceof Unreachable)) throw problem;
      if (tries >= NETWORK_TRIES || navigator.onLine === false) {
        state.notice = { word: "unsent" };
        look(); // it may have been heard all the same
        return false;
      }
      await sleep(BACKOFF_MS[0]);
    }
  }
}

async function proceed({ status, body, retryAfter }) {
  await looking; // it began before this answer, and may not know of it
  const isOpenYet = status === 429 || status >= 500 || body.code === "request_in_progress";
  if (!isOpenYet) forgetIntent(); // a definite answer: the next tap is a new wish
  if (status < 300 && isPayable(body) && leaveFor(body)) return true;
  if (status < 300) state.asking = isWithoutPage(body) ? { since: Date.now(), go: true } : null;
  else state.notice = noticeAbout(status, body);
  if (isOpenYet) state.waitUntil = Date.now() + retryAfter * 1_000;
  polls = 0;
  await look();
  return state.paying === "leaving";
}

function noticeAbout(status, { code, detail, request_id: requestId }) {
  if (status === 404 || status === 409) return null; // the next look says better how it stands
  if (code === "payment_refused") return { word: "refused", detail };
  if (code === "gateway_unavailable") return { word: "unavailable" };
  if (status === 429) return { word: "tooMany" };
  return { word: "ours", requestId };
}

function forgetIntent() {
  key = "";
  kept.drop("key");
  if (state.order?.status !== "awaiting_payment") kept.drop("paying");
}

/** Go to Chapa's page; false where the address is none to go to. */
function leaveFor({ checkout_url: checkoutUrl, tx_ref: txRef }) {
  if (!/^https?:\/\//.test(checkoutUrl ?? "")) return false;
  kept.put("paying", txRef);
  show({ paying: "leaving" });
  setTimeout(() => show({ paying: false }), LEAVING_MS); // still here? Then the button is wanted again
  location.assign(checkoutUrl);
  return true;
}

function newKey() {
  const drawn = crypto.getRandomValues(new Uint8Array(16)); // randomUUID exists on https only
  return Array.from(drawn, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// --- The other buttons -----------------------------------------------------------------------------------------------

function askWhetherToCancel() {
  byId("confirm").returnValue = "";
  byId("confirm").showModal();
}

async function cancel() {
  byId("cancel").disabled = true;
  try {
    const { status, body } = await api.cancel();
    await looking;
    if (status === 200) learn(body, state.attempts);
    else show({ notice: noticeAbout(status, body) });
    look();
    byId("headline").focus();
  } catch (problem) {
    if (!(problem instanceof Unreachable)) throw problem;
    show({ notice: { word: "notSent" } });
  } finally {
    byId("cancel").disabled = false;
  }
}

async function copyLink() {
  const link = `${location.origin}/order/${number}/?token=${encodeURIComponent(token)}`;
  const field = byId("link");
  let word = "copied";
  try {
    await navigator.clipboard.writeText(link); // absent on plain http, and may be forbidden
  } catch {
    word = "copyByHand";
    field.value = link;
    field.hidden = false;
    field.select();
  }
  show({ copied: word });
}

function switchLanguage() {
  languageChosen = true;
  chooseLanguage(state.language === "am" ? "en" : "am");
  show({ language: state.language === "am" ? "en" : "am" });
}

begin();
