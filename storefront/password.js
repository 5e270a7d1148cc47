// Where the mail about a forgotten password leads: choose a new one, or ask for such a mail.

import { Unreachable, passwordApi } from "./api.js";
import { chooseLanguage, chosenLanguage, keptIn } from "./kept.js";
import { fill, isLanguage, wordsOf } from "./password-words.js";

const TONES = { choose: "wait", ask: "wait", asked: "wait", done: "good", expired: "bad" };
const WITH_ICON = new Set(["asked", "done", "expired"]);

const kept = keptIn("password");
const byId = (id) => document.getElementById(id);

const state = {
  scene: "ask",
  language: firstLanguage(),
  token: takeToken(),
  minutes: 0, // that a link works
  notice: "",
  isBusy: false,
  isShown: false, // the password, readable
};

/** The link's token leaves the address bar: it must not be photographed or stay in the history. */
function takeToken() {
  const given = location.hash.slice(1);
  if (given && kept.put("token", given)) history.replaceState(history.state, "", location.pathname + location.search);
  return given || kept.get("token");
}

function firstLanguage() {
  const wishes = [new URL(location.href).searchParams.get("lang"), chosenLanguage(), ...(navigator.languages ?? [])];
  return wishes.map((wish) => (wish ?? "").slice(0, 2).toLowerCase()).find(isLanguage) ?? "en";
}

function begin() {
  if (state.token) state.scene = "choose";
  byId("choose").addEventListener("submit", (event) => submit(event, choose));
  byId("ask").addEventListener("submit", (event) => submit(event, ask));
  byId("again").addEventListener("click", () => show({ scene: "ask", notice: "" }, "email"));
  byId("reveal").addEventListener("click", () => show({ isShown: !state.isShown }));
  byId("language").addEventListener("click", switchLanguage);
  // A second link, opened in the tab of the first, changes nothing but what stands behind the `#`.
  addEventListener("hashchange", () => {
    const token = takeToken();
    if (token) show({ token, scene: "choose", notice: "" }, "password");
  });
  show({});
}

async function submit(event, act) {
  event.preventDefault();
  if (state.isBusy) return;
  show({ isBusy: true, notice: "" });
  try {
    await act();
  } catch (problem) {
    if (!(problem instanceof Unreachable)) throw problem;
    show({ notice: wordsOf(state.language).unsent });
  } finally {
    show({ isBusy: false });
  }
}

async function choose() {
  const field = byId("password");
  if (!field.value) return refuse(field, wordsOf(state.language).missing);
  const answer = await passwordApi.confirm(state.token, field.value);
  if (answer.status === 204) {
    field.value = "";
    return leaveLink("done");
  }
  if (answer.body.code === "invalid_reset_token") return leaveLink("expired");
  if (answer.body.code === "weak_password") return refuse(field, weaknesses(answer.body.errors));
  return refused(answer);
}

/** The link is used up, one way or another. */
function leaveLink(scene) {
  kept.drop("token");
  show({ token: "", scene, isShown: false }, "headline");
}

function weaknesses(errors) {
  const words = wordsOf(state.language);
  return [words.tooWeak, ...(errors ?? []).map(({ code }) => words.weak[code]).filter(Boolean)].join("\n");
}

async function ask() {
  const field = byId("email");
  const words = wordsOf(state.language);
  if (!field.value.trim()) return refuse(field, words.missing);
  const answer = await passwordApi.ask(field.value.trim());
  if (answer.status === 202) return show({ scene: "asked", minutes: answer.body.link_valid_minutes }, "headline");
  if (answer.body.code === "invalid_input") return refuse(field, words.badEmail);
  return refused(answer);
}

function refuse(field, notice) {
  field.setAttribute("aria-invalid", "true");
  show({ notice }, field.id);
}

function refused({ status, body, retryAfter }) {
  const words = wordsOf(state.language);
  const reference = body.request_id ? `(${body.request_id})` : "";
  const notice = status === 429
    ? fill(words.tooOften, { minutes: Math.ceil(retryAfter / 60) })
    : fill(words.ours, { reference }).trim();
  show({ notice });
}

function switchLanguage() {
  const language = state.language === "am" ? "en" : "am";
  chooseLanguage(language);
  show({ language, notice: "" });
}

/** Everything there is to see; `focus` names what is to be read or filled in next. */
function show(changes, focus = "") {
  Object.assign(state, changes);
  const words = wordsOf(state.language);
  document.documentElement.lang = state.language;
  for (const node of document.querySelectorAll("[data-word]")) write(node, words[node.dataset.word]);
  const [label, code] = state.language === "am" ? ["English", "en"] : ["አማርኛ", "am"];
  write(byId("language"), label);
  byId("language").lang = code;
  const [headline, message] = words.scenes[state.scene];
  write(byId("headline"), headline);
  document.title = headline;
  write(byId("message"), fill(message, { minutes: state.minutes }));
  write(byId("notice"), state.notice);
  byId("notice").hidden = !state.notice;
  if (!state.notice) for (const node of document.querySelectorAll("[aria-invalid]")) node.removeAttribute("aria-invalid");
  byId("state").dataset.tone = TONES[state.scene];
  byId("icon").toggleAttribute("hidden", !WITH_ICON.has(state.scene)); // an SVG has no `hidden` of its own
  byId("choose").hidden = state.scene !== "choose";
  byId("ask").hidden = state.scene !== "ask";
  byId("again").hidden = state.scene !== "expired";
  byId("password").type = state.isShown ? "text" : "password";
  byId("reveal").setAttribute("aria-pressed", String(state.isShown));
  write(byId("reveal"), state.isShown ? words.hide : words.show);
  for (const button of document.querySelectorAll("form .main")) {
    button.setAttribute("aria-disabled", String(state.isBusy));
    if (state.isBusy) write(button, words.busy);
  }
  if (focus) byId(focus).focus();
}

function write(node, text) {
  // A live region speaks whenever its text is set, also to the same text.
  if (node.textContent !== text) node.textContent = text;
}

begin();
