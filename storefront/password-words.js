// Every word of the password's page in both languages.

const en = {
  account: "Your account",
  scenes: {
    choose: ["Choose a new password", "Everybody who is signed in to your account will have to sign in again, you too."],
    ask: ["Forgotten your password?", "Give us the e-mail address of your account, and we send you a link."],
    asked: ["Look into your mail", "If there is an account with this address, a link is on its way. It works once, for {minutes} minutes. Look among the unwanted mail too."],
    done: ["Your password is changed", "Sign in with it from now on. The link is used up."],
    expired: ["This link no longer works", "It was used, it is too old, or a newer password has been chosen since. Ask for a new one."],
  },
  newPassword: "New password",
  show: "Show",
  hide: "Hide",
  hint: "At least ten characters; several words make a good one. Not your name or address, and not only digits.",
  save: "Save the password",
  email: "E-mail address",
  send: "Send me a link",
  again: "Ask for a new link",
  busy: "One moment…",
  missing: "Please fill this in.",
  badEmail: "This is no e-mail address.",
  tooOften: "This was tried too often. Please wait {minutes} min and try again.",
  unsent: "We could not reach the shop. Please try again.",
  ours: "Something went wrong on our side. Please try again. {reference}",
  weak: {
    password_too_short: "It is too short: ten characters at least.",
    password_too_common: "Too many people use it, and it is the first thing that is tried.",
    password_entirely_numeric: "It has nothing but digits.",
    password_too_similar: "It is too much like your name or address.",
  },
  tooWeak: "Please choose another password.",
};

const am = {
  account: "መለያዎ",
  scenes: {
    choose: ["አዲስ የይለፍ ቃል ይምረጡ", "ወደ መለያዎ የገባ ሁሉ፣ እርስዎም ጭምር፣ እንደገና መግባት ይኖርበታል።"],
    ask: ["የይለፍ ቃልዎን ረስተዋል?", "የመለያዎን የኢሜይል አድራሻ ይስጡን፤ ሊንክ እንልክልዎታለን።"],
    asked: ["ኢሜይልዎን ይመልከቱ", "በዚህ አድራሻ መለያ ካለ ሊንክ እየተላከ ነው። የሚሠራው አንድ ጊዜ ብቻ፣ ለ{minutes} ደቂቃዎች ነው። በማይፈለጉ መልእክቶች (spam) ውስጥም ይፈልጉ።"],
    done: ["የይለፍ ቃልዎ ተቀይሯል", "ከአሁን በኋላ በአዲሱ ይግቡ። ሊንኩ አገልግሎቱን ጨርሷል።"],
    expired: ["ይህ ሊንክ ከእንግዲህ አይሠራም", "አንድ ጊዜ ተጠቅመውበታል፣ ጊዜው አልፎበታል፣ ወይም ከዚያ በኋላ ሌላ የይለፍ ቃል ተመርጧል። አዲስ ሊንክ ይጠይቁ።"],
  },
  newPassword: "አዲስ የይለፍ ቃል",
  show: "አሳይ",
  hide: "ደብቅ",
  hint: "ቢያንስ አሥር ፊደላት፤ ብዙ ቃላት ጥሩ የይለፍ ቃል ይሆናሉ። ስምዎን ወይም አድራሻዎን፣ ቁጥር ብቻም አይጠቀሙ።",
  save: "የይለፍ ቃሉን አስቀምጥ",
  email: "የኢሜይል አድራሻ",
  send: "ሊንክ ላኩልኝ",
  again: "አዲስ ሊንክ ይጠይቁ",
  busy: "አንድ አፍታ…",
  missing: "እባክዎ ይህን ይሙሉ።",
  badEmail: "ይህ የኢሜይል አድራሻ አይደለም።",
  tooOften: "ብዙ ጊዜ ተሞክሯል። እባክዎ {minutes} ደቂቃ ጠብቀው እንደገና ይሞክሩ።",
  unsent: "ሱቁን ማግኘት አልቻልንም። እባክዎ እንደገና ይሞክሩ።",
  ours: "በእኛ በኩል ችግር ተፈጥሯል። እባክዎ እንደገና ይሞክሩ። {reference}",
  weak: {
    password_too_short: "በጣም አጭር ነው፤ ቢያንስ አሥር ፊደላት ያስፈልጋሉ።",
    password_too_common: "ብዙ ሰዎች የሚጠቀሙበት ስለሆነ በቀላሉ ይገመታል።",
    password_entirely_numeric: "ቁጥር ብቻ ነው።",
    password_too_similar: "ከስምዎ ወይም ከአድራሻዎ ጋር በጣም ይመሳሰላል።",
  },
  tooWeak: "እባክዎ ሌላ የይለፍ ቃል ይምረጡ።",
};

const LANGUAGES = { en, am };

export const isLanguage = (code) => Object.hasOwn(LANGUAGES, code ?? "");
export const wordsOf = (code) => LANGUAGES[code] ?? en;

/** `fill("for {minutes} minutes", {minutes: 30})` */
export const fill = (text, values = {}) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
