// Every word of the page in both languages, and how money and times are written.

const en = {
  order: "Order",
  details: "What you ordered",
  actions: "More",
  scenes: {
    loading: ["Finding your order…", ""],
    noToken: [
      "Please open the link to your order",
      "For your safety an order opens only with its whole link. You find it in the e-mail or SMS about this order: please open it from there.",
    ],
    notFound: [
      "We cannot open this order",
      "The link is not complete, or no longer valid. Please open the newest link from our e-mail or SMS.",
    ],
    ready: ["Your order awaits payment", "The goods are put aside for you."],
    asking: [
      "We are asking Chapa…",
      "Chapa is slow to answer. Please stay here: as soon as its page is ready, we take you there. You will not pay twice.",
    ],
    confirming: [
      "Confirming your payment…",
      "We are asking Chapa whether it has arrived. This usually takes a few seconds.",
    ],
    confirmingLong: [
      "We have not seen your payment yet",
      "If you have paid, there is nothing to do: this page changes by itself, and you may close it. If you have not, you still can.",
    ],
    failed: ["The payment did not go through", "Your order is still held for you. Try again, or pay another way."],
    mismatched: [
      "We are checking your payment",
      "Chapa reports a payment that differs from this order. One of us looks into it and will contact you. Please do not pay again.",
    ],
    closing: ["The time to pay is over", "If you paid in time, your payment counts and will show here."],
    paid: ["Paid. Thank you!", "The order is yours. A confirmation is on its way to {contact}."],
    fulfilled: ["Your order has left us", "It is paid, and the goods are on their way or handed over."],
    cancelled: ["This order was cancelled", "Nothing more will be charged. If you paid all the same, you get the money back."],
    expired: [
      "This order has expired",
      "It was not paid in time, so the goods are free again. If you paid at the last moment, we check it: the order becomes yours, or you get the money back.",
    ],
    refunded: ["Your money was sent back", "{refunded} was refunded. It can take some days to arrive."],
  },
  pay: "Pay {amount}",
  retry: "Try again",
  payStill: "Not paid yet? Continue",
  opening: "Opening Chapa…",
  retryIn: "Try again in {seconds} s",
  payHint: "With telebirr, CBE Birr, M-Pesa, a bank or a card, on Chapa’s secure page.",
  timeLeft: "Time left to pay:",
  refused: "Chapa refused to start this payment: {detail}",
  unavailable: "Chapa cannot be reached right now. Nothing was charged.",
  tooMany: "This was tried too often. Please wait a little.",
  unsent: "We could not reach the shop. Tap again once you are connected; you will not pay twice.",
  ours: "Something went wrong on our side. Please try again. {reference}",
  keptApart: "A payment of {amount} arrived that this order did not need. You get it back.",
  offline: "You are offline.",
  notSent: "We could not reach the shop. Please try again.",
  weak: "The connection is weak; we keep trying.",
  busy: "The shop is very busy; we keep trying.",
  asOf: "This is how it stood at {time}.",
  total: "Total, VAT included",
  givenBack: "Refunded",
  orderedAt: "Ordered",
  paidAt: "Paid",
  method: "Paid with",
  reference: "Chapa’s reference",
  copy: "Copy link",
  link: "Link to this order",
  copied: "Copied. Whoever has the link can open the order.",
  copyByHand: "Please copy the link from this field.",
  cancel: "Cancel order",
  cancelTitle: "Cancel this order?",
  cancelText: "The goods go back on sale. This cannot be undone.",
  cancelTextPaying: "If you have just paid, wait for the confirmation instead: money for a cancelled order comes back only after some days.",
  cancelKeep: "Keep the order",
  cancelYes: "Yes, cancel it",
};

const am = {
  order: "ትዕዛዝ",
  details: "ያዘዙት",
  actions: "ተጨማሪ",
  scenes: {
    loading: ["ትዕዛዝዎን በመፈለግ ላይ…", ""],
    noToken: [
      "እባክዎ የትዕዛዝዎን ሊንክ ይክፈቱ",
      "ለደህንነትዎ ሲባል ትዕዛዝ የሚከፈተው በሙሉ ሊንኩ ብቻ ነው። ሊንኩን ስለዚህ ትዕዛዝ በላክንልዎ ኢሜይል ወይም ኤስኤምኤስ ውስጥ ያገኙታል፤ እባክዎ ከዚያ ይክፈቱት።",
    ],
    notFound: [
      "ይህን ትዕዛዝ መክፈት አልቻልንም",
      "ሊንኩ ሙሉ አይደለም ወይም ጊዜው አልፎበታል። እባክዎ በኢሜይል ወይም በኤስኤምኤስ የላክንልዎትን የቅርብ ጊዜ ሊንክ ይክፈቱ።",
    ],
    ready: ["ትዕዛዝዎ ክፍያ እየጠበቀ ነው", "ዕቃዎቹ ለእርስዎ ተቀምጠዋል።"],
    asking: [
      "ቻፓን በመጠየቅ ላይ ነን…",
      "ቻፓ መልስ ለመስጠት ዘግይቷል። እባክዎ እዚሁ ይጠብቁ፤ የክፍያ ገጹ እንደተዘጋጀ እንወስድዎታለን። ሁለት ጊዜ አይከፍሉም።",
    ],
    confirming: ["ክፍያዎን በማረጋገጥ ላይ…", "ክፍያዎ መድረሱን ቻፓን እየጠየቅን ነው። ብዙውን ጊዜ ጥቂት ሰከንዶች ይወስዳል።"],
    confirmingLong: [
      "ክፍያዎን እስካሁን አላየንም",
      "ከፍለው ከሆነ ምንም ማድረግ አያስፈልግዎትም፤ ይህ ገጽ በራሱ ይለወጣል፣ መዝጋትም ይችላሉ። ገና ካልከፈሉ አሁንም መክፈል ይችላሉ።",
    ],
    failed: ["ክፍያው አልተሳካም", "ትዕዛዝዎ አሁንም ተይዞልዎታል። እንደገና ይሞክሩ ወይም በሌላ መንገድ ይክፈሉ።"],
    mismatched: [
      "ክፍያዎን በማጣራት ላይ ነን",
      "ቻፓ ያሳወቀን ክፍያ ከዚህ ትዕዛዝ ጋር አይመሳሰልም። ባልደረባችን እያጣራ ነው፤ ያነጋግርዎታል። እባክዎ እንደገና አይክፈሉ።",
    ],
    closing: ["የመክፈያው ጊዜ አልፏል", "በጊዜው ከፍለው ከሆነ ክፍያዎ ይያዛል፤ እዚህም ይታያል።"],
    paid: ["ተከፍሏል። እናመሰግናለን!", "ትዕዛዙ የእርስዎ ነው። ማረጋገጫ ወደ {contact} እየተላከ ነው።"],
    fulfilled: ["ትዕዛዝዎ ወጥቷል", "ተከፍሏል፤ ዕቃዎቹ በመንገድ ላይ ናቸው ወይም ተረክበዋል።"],
    cancelled: ["ይህ ትዕዛዝ ተሰርዟል", "ከዚህ በኋላ ክፍያ አይጠየቅም። ከፍለው ከሆነ ገንዘቡ ይመለስልዎታል።"],
    expired: [
      "የዚህ ትዕዛዝ ጊዜ አልፏል",
      "በጊዜው ስላልተከፈለ ዕቃዎቹ ተለቀዋል። በመጨረሻው ሰዓት ከፍለው ከሆነ እናጣራለን፤ ትዕዛዙ የእርስዎ ይሆናል ወይም ገንዘቡ ይመለስልዎታል።",
    ],
    refunded: ["ገንዘብዎ ተመልሷል", "{refunded} ተመላሽ ተደርጓል። እስኪደርስ ጥቂት ቀናት ሊወስድ ይችላል።"],
  },
  pay: "{amount} ይክፈሉ",
  retry: "እንደገና ይሞክሩ",
  payStill: "ገና አልከፈሉም? ይቀጥሉ",
  opening: "ቻፓ በመከፈት ላይ…",
  retryIn: "ከ{seconds} ሰከንድ በኋላ ይሞክሩ",
  payHint: "በቴሌብር፣ በሲቢኢ ብር፣ በኤም-ፔሳ፣ በባንክ ወይም በካርድ፣ ደህንነቱ በተጠበቀው የቻፓ ገጽ ላይ።",
  timeLeft: "ለመክፈል የቀረው ጊዜ፦",
  refused: "ቻፓ ይህን ክፍያ ለመጀመር አልፈቀደም፦ {detail}",
  unavailable: "አሁን ቻፓን ማግኘት አልተቻለም። ምንም ክፍያ አልተፈጸመም።",
  tooMany: "ብዙ ጊዜ ተሞክሯል። እባክዎ ጥቂት ይጠብቁ።",
  unsent: "ሱቁን ማግኘት አልቻልንም። ግንኙነት ሲኖርዎ እንደገና ይንኩ፤ ሁለት ጊዜ አይከፍሉም።",
  ours: "በእኛ በኩል ችግር ተፈጥሯል። እባክዎ እንደገና ይሞክሩ። {reference}",
  keptApart: "ለዚህ ትዕዛዝ የማያስፈልግ የ{amount} ክፍያ ደርሶናል። ይመለስልዎታል።",
  offline: "ከኢንተርኔት ጋር አልተገናኙም።",
  notSent: "ሱቁን ማግኘት አልቻልንም። እባክዎ እንደገና ይሞክሩ።",
  weak: "ግንኙነቱ ደካማ ነው፤ መሞከራችንን እንቀጥላለን።",
  busy: "ሱቁ ሥራ በዝቶበታል፤ መሞከራችንን እንቀጥላለን።",
  asOf: "ይህ በ{time} የነበረው ሁኔታ ነው።",
  total: "ጠቅላላ፣ ቫትን ጨምሮ",
  givenBack: "የተመለሰ",
  orderedAt: "የታዘዘው",
  paidAt: "የተከፈለው",
  method: "የክፍያ መንገድ",
  reference: "የቻፓ ማጣቀሻ",
  copy: "ሊንኩን ይቅዱ",
  link: "የዚህ ትዕዛዝ ሊንክ",
  copied: "ተቀድቷል። ሊንኩ ያለው ሰው ትዕዛዙን መክፈት ይችላል።",
  copyByHand: "እባክዎ ሊንኩን ከዚህ ሳጥን ይቅዱ።",
  cancel: "ትዕዛዙን ይሰርዙ",
  cancelTitle: "ይህ ትዕዛዝ ይሰረዝ?",
  cancelText: "ዕቃዎቹ እንደገና ለሽያጭ ይቀርባሉ። ይህ ሊመለስ አይችልም።",
  cancelTextPaying: "አሁን ከፍለው ከሆነ ማረጋገጫውን ይጠብቁ፤ ለተሰረዘ ትዕዛዝ የተከፈለ ገንዘብ የሚመለሰው ከጥቂት ቀናት በኋላ ነው።",
  cancelKeep: "ትዕዛዙ ይቆይ",
  cancelYes: "አዎ፣ ይሰረዝ",
};

const LANGUAGES = { en, am };
const CURRENCIES = { en: {}, am: { ETB: "ብር", USD: "የአሜሪካ ዶላር" } };
const METHODS = { telebirr: "telebirr", cbebirr: "CBE Birr", mpesa: "M-Pesa", test: "" };

export const isLanguage = (code) => Object.hasOwn(LANGUAGES, code ?? "");

/** The words of a language; the browser's own where the code is none of ours. */
export const wordsOf = (code) => LANGUAGES[code] ?? en;

/** `fill("Pay {amount}", {amount: "5"})` */
export const fill = (text, values = {}) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

/** "1250.00" → "1,250.00 ETB". A text stays a text: a number of JavaScript's would be a float. */
export function money(amount, currency, language) {
  const [whole, cents = "00"] = amount.split(".");
  return `${whole.replace(/\B(?=(\d{3})+$)/g, ",")}.${cents}\u00a0${CURRENCIES[language]?.[currency] ?? currency}`;
}

/** A moment as people write it where they are. */
export function moment(at, language, style = { dateStyle: "medium", timeStyle: "short" }) {
  return new Intl.DateTimeFormat(language === "am" ? "am-ET" : "en-GB", style).format(new Date(at));
}

export const timeOfDay = (at, language) => moment(at, language, { timeStyle: "short" });

/** Milliseconds → "9:05", or "1:09:05". */
export function countdown(left) {
  const total = Math.max(0, Math.ceil(left / 1000));
  const [hours, minutes, seconds] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

/** Chapa's word for how it was paid, as people know it; nothing for "test", which says no more than that. */
export const methodName = (method) => METHODS[method?.toLowerCase()] ?? method;
