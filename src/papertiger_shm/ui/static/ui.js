// Keeps a page as new as the store: hears that something has changed, and fetches the part of the page that shows it.
// Without it every page works as well, and is as old as it is.
"use strict";

(() => {
  const SHORTEST_PAUSE = 500; // milliseconds between two fetches
  const state = document.getElementById("state");
  const pause = document.getElementById("pause");
  const live = document.getElementById("live");
  let shown = live.dataset.commits;
  let html = live.innerHTML;
  let source = null;
  let paused = false;
  let over = null;
  let fetching = false;
  let wanted = false;
  let last = 0;

  const say = (text, kind) => {
    if (state.textContent !== text) state.textContent = text;
    document.documentElement.dataset.state = kind;
  };

  const tellState = () => {
    if (over) say(over, "over");
    else if (paused) say("paused", "paused");
    else if (!source || source.readyState !== EventSource.OPEN) say("connecting", "connecting");
    else say("live", "live");
  };

  // A part of an item is known by its place in it, and by the item.
  const keyOf = (part) => {
    const item = part.closest("details.item");
    return `${item ? item.dataset.key : ""} ${part === item ? "" : part.dataset.key}`;
  };

  // What a reader has opened stays open, and what has the focus keeps it.
  const replace = (next) => {
    const open = new Set();
    for (const part of live.querySelectorAll("details[open]")) open.add(keyOf(part));
    for (const part of next.querySelectorAll("details")) part.open = open.has(keyOf(part));
    const focused = live.contains(document.activeElement) ? document.activeElement : null;
    const key = focused && focused.localName === "summary" ? keyOf(focused.parentElement) : null;
    const scrolled = [...live.querySelectorAll(".scroll")].map((part) => part.scrollLeft);
    live.replaceChildren(...next.childNodes);
    live.querySelectorAll(".scroll").forEach((part, place) => { part.scrollLeft = scrolled[place] || 0; });
    if (focused) {
      const same = key !== null
        ? [...live.querySelectorAll("summary")].find((part) => keyOf(part.parentElement) === key)
        : [...live.querySelectorAll(focused.localName)].find((part) => part.getAttribute("href") === focused.getAttribute("href"));
      if (same) same.focus({ preventScroll: true });
    }
  };

  const refresh = async () => {
    wanted = true;
    if (fetching || paused || over || document.hidden) return;
    fetching = true;
    while (wanted && !paused && !over && !document.hidden) {
      const left = last + SHORTEST_PAUSE - Date.now();
      if (left > 0) await new Promise((resolve) => { setTimeout(resolve, left); });
      wanted = false;
      last = Date.now();
      try {
        const answer = await fetch(location.href, { headers: { "X-Part": "live" }, credentials: "same-origin" });
        const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
        if (next) {
          live.dataset.commits = shown = next.dataset.commits;
          if (next.innerHTML !== html) {
            html = next.innerHTML;
            replace(next);
          }
        }
      } catch (error) {
        break; // the stream of events will tell what has become of the server
      }
    }
    fetching = false;
  };

  const listen = () => {
    if (source || over || paused || document.hidden) return;
    source = new EventSource("/live");
    source.addEventListener("open", tellState);
    source.addEventListener("change", (event) => {
      if (event.data !== shown) {
        shown = event.data;
        refresh();
      }
    });
    source.addEventListener("end", (event) => {
      over = event.data;
      hush();
      pause.hidden = true;
    });
    source.addEventListener("error", () => {
      if (source && source.readyState === EventSource.CLOSED) {
        over = "The page is not live any more; load it again.";
        hush();
        pause.hidden = true;
      }
      tellState();
    });
    tellState();
  };

  // A browser has few connections to one server; a page that nobody looks at gives its own back.
  const hush = () => {
    if (source) source.close();
    source = null;
    tellState();
  };

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    if (paused) hush();
    else listen();
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? hush() : listen()));
  addEventListener("pagehide", hush);
  addEventListener("pageshow", listen);

  const every = Number(live.dataset.every);
  if (every) setInterval(refresh, every);
  pause.hidden = false;
  listen();
})();
