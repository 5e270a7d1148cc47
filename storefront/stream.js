// Hears of one order's changes as they come, where the shop can tell them. Without it the page looks by itself.

const AGAIN_MS = 60_000; // after which a stream that was refused is asked for again

/**
 * @param tell     called with a kind ("order" or "payment") and what a read of it would answer
 * @param changed  called when it begins to hear, and when it no longer does
 */
export function listener({ tell, changed }) {
  let source = null;
  let notBefore = 0;

  function close() {
    source?.close();
    source = null;
  }

  /** Listen at this address, an order's `stream_url`, unless it does already. A broken stream mends itself. */
  function follow(address) {
    if (source || !address || Date.now() < notBefore) return;
    const opened = new EventSource(address);
    source = opened;
    for (const kind of ["order", "payment"]) {
      opened.addEventListener(kind, (event) => tell(kind, JSON.parse(event.data)));
    }
    opened.addEventListener("end", (event) => {
      if (JSON.parse(event.data).reason === "final") notBefore = Infinity;
      close();
      changed();
    });
    opened.addEventListener("open", changed);
    opened.addEventListener("error", () => {
      if (opened.readyState === EventSource.CLOSED) {
        notBefore = Math.max(notBefore, Date.now() + AGAIN_MS);
        close();
      }
      changed();
    });
  }

  return { follow, close, hears: () => source?.readyState === EventSource.OPEN };
}
