// Renews the parts of a page that change, without moving what the reader is looking at. Without this script the page
// renews itself as a whole.
"use strict";
(() => {
  const live = document.getElementById("live");
  const heard = document.getElementById("heard");
  if (!live || !heard) return;
  const every = Number(live.dataset.everySeconds) * 1000;
  let tag = live.dataset.version;
  let said = live.dataset.state;

  const opened = () => new Set([...live.querySelectorAll("details[open]")].map((item) => item.id));

  // What can be asked for changes with the state; buttons that stay the same keep the focus.
  const offer = (next) => {
    const shown = document.getElementById("offered");
    if (shown && next && shown.innerHTML !== next.innerHTML) shown.replaceChildren(...next.childNodes);
  };

  const renew = (text) => {
    const page = new DOMParser().parseFromString(text, "text/html");
    const next = page.getElementById("live");
    if (!next) return false;
    offer(page.getElementById("offered"));
    const open = opened();
    const active = document.activeElement;
    const scrolled = new Map([...live.querySelectorAll(".scroll")].map((item) => [item.getAttribute("aria-label"), item.scrollLeft]));
    const label = active && live.contains(active) ? active.getAttribute("aria-label") || active.id || active.parentElement.id : null;
    live.replaceChildren(...next.childNodes);
    for (const item of live.querySelectorAll("details")) item.open = open.has(item.id);
    for (const item of live.querySelectorAll(".scroll")) item.scrollLeft = scrolled.get(item.getAttribute("aria-label")) || 0;
    if (label) {
      const same = [...live.querySelectorAll("[aria-label], [id], summary")].find(
        (item) => (item.getAttribute("aria-label") || item.id || item.parentElement.id) === label,
      );
      if (same) (same.matches("details") ? same.querySelector("summary") : same).focus({ preventScroll: true });
    }
    if (next.dataset.state !== said) {
      said = next.dataset.state;
      heard.textContent = said; // read aloud only when the state is another one
    }
    document.title = page.title;
    return next.dataset.over !== "true";
  };

  const look = async () => {
    let goOn = true;
    try {
      if (!document.hidden) {
        const answer = await fetch(location.pathname + location.search, { headers: { "If-None-Match": tag }, cache: "no-store" });
        if (answer.status === 200 && !answer.redirected) {
          tag = answer.headers.get("ETag");
          goOn = renew(await answer.text());
          live.classList.remove("stale");
        } else if (answer.redirected || answer.status === 401) {
          location.reload(); // the session has ended
          return;
        } else if (answer.status !== 304) {
          live.classList.add("stale");
        }
      }
    } catch {
      live.classList.add("stale"); // the platform does not answer; the numbers are old
    }
    if (goOn) setTimeout(look, every);
  };
  if (live.dataset.over !== "true") setTimeout(look, every);
})();
