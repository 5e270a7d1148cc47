// What outlives a reload: in this tab only, for phones are shared. A browser that keeps nothing gets on without.

function attempt(action) {
  try {
    return action();
  } catch {
    return null; // storage is switched off or full
  }
}

/** Small texts kept for one order. */
export const keptFor = (number) => keptIn(`order.${number}`);

/** Small texts kept under one name. `put` says whether it was really kept. */
export function keptIn(place) {
  const name = (what) => `${place}.${what}`;
  return {
    get: (what) => attempt(() => sessionStorage.getItem(name(what))) ?? "",
    put: (what, value) => attempt(() => (sessionStorage.setItem(name(what), value), true)) ?? false,
    drop: (what) => attempt(() => sessionStorage.removeItem(name(what))),
  };
}

export const chosenLanguage = () => attempt(() => localStorage.getItem("language")) ?? "";
export const chooseLanguage = (code) => attempt(() => localStorage.setItem("language", code));
