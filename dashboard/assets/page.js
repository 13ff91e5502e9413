// Keeps an open page up to date. Everything works without it, by reloading.
"use strict";

(() => {
  const REFRESH_MS = 1000;
  const TRANSCRIPT_MS = 2000;
  const AGES_MS = 15000;
  const RETRY_MS = 30000;
  const MAX_TRANSCRIPT = 512 * 1024;

  logInByLink();
  // The link opened in a tab that shows the form already loads nothing anew.
  window.addEventListener("hashchange", logInByLink);
  setInterval(refreshAges, AGES_MS);
  followEvents();
  followTranscript();

  /** A one-time link carries its code behind the #, which no server and no log sees. */
  function logInByLink() {
    const form = document.getElementById("login");
    if (form === null) return;
    const code = decodeHash(location.hash);
    if (code === "") return;
    history.replaceState(null, "", location.pathname + location.search);
    form.elements.namedItem("code").value = code;
    form.requestSubmit();
  }

  function decodeHash(hash) {
    try {
      return decodeURIComponent(hash.slice(1));
    } catch {
      return "";
    }
  }

  function refreshAges() {
    const now = Date.now();
    for (const time of document.querySelectorAll("time[data-age]")) {
      time.textContent = age(Date.parse(time.dateTime), now);
    }
  }

  function age(at, now) {
    const distance = Math.abs(now - at);
    if (distance < 45000) return at > now + 1000 ? "in a moment" : "just now";
    const words = lengthWords(distance);
    return at > now ? "in " + words : words + " ago";
  }

  function lengthWords(ms) {
    if (ms < 90 * 60000) return Math.max(1, Math.round(ms / 60000)) + " min";
    if (ms < 36 * 3600000) return Math.round(ms / 3600000) + " h";
    return Math.round(ms / 86400000) + " days";
  }

  function followEvents() {
    const live = document.getElementById("live");
    if (live === null || live.dataset.follows !== "yes") return;
    let seen = live.dataset.seq;
    let wanted = false;
    let busy = false;

    document.addEventListener("visibilitychange", () => refresh());
    listen();

    function listen() {
      const source = new EventSource("/live?after=" + encodeURIComponent(seen));
      source.addEventListener("open", () => say(""));
      source.addEventListener("change", (event) => {
        seen = event.lastEventId;
        wanted = true;
        refresh();
      });
      source.addEventListener("error", () => {
        say("Connection lost; trying again.");
        if (source.readyState !== EventSource.CLOSED) return;
        // Refused: the login may have ended, or too many pages are open.
        wanted = true;
        refresh();
        setTimeout(listen, RETRY_MS);
      });
    }

    async function refresh() {
      if (!wanted || busy || document.hidden) return;
      wanted = false;
      busy = true;
      try {
        await replace(live);
      } catch {
        wanted = true;
      }
      setTimeout(() => {
        busy = false;
        refresh();
      }, REFRESH_MS);
    }
  }

  async function replace(live) {
    const url = new URL(location.href);
    url.searchParams.set("fragment", "live");
    const answer = await fetch(url, { headers: { Accept: "text/html" }, redirect: "error" });
    if (answer.status === 401) return location.reload();
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
    for (const details of live.querySelectorAll("details[id]")) {
      const twin = fresh.querySelector("#" + CSS.escape(details.id));
      if (twin !== null) twin.open = details.open;
    }
    for (const field of live.querySelectorAll("textarea[id]")) {
      const twin = fresh.querySelector("#" + CSS.escape(field.id));
      if (twin !== null && field.value !== field.defaultValue) twin.value = field.value;
    }
    const { activeElement: active } = document;
    const focused = keyOf(active, live);
    const cursor = active instanceof HTMLTextAreaElement ? [active.selectionStart, active.selectionEnd] : null;
    const scrolled = [...live.querySelectorAll("pre")].map((pre) => pre.scrollTop);
    live.replaceChildren(...fresh.childNodes);
    live.querySelectorAll("pre").forEach((pre, index) => (pre.scrollTop = scrolled[index] ?? 0));
    const again = focused === null ? null : live.querySelector(focused);
    again?.focus({ preventScroll: true });
    if (again instanceof HTMLTextAreaElement && cursor !== null) again.setSelectionRange(...cursor);
  }

  /** How to find the focused element again after its replacement. */
  function keyOf(element, live) {
    if (element === null || !live.contains(element)) return null;
    if (element.id !== "") return "#" + CSS.escape(element.id);
    const href = element.getAttribute("href");
    return href === null ? null : 'a[href="' + CSS.escape(href) + '"]';
  }

  function followTranscript() {
    const pre = document.getElementById("transcript");
    if (pre === null) return;
    if (!location.search.includes("from=")) pre.scrollTop = pre.scrollHeight;
    if (pre.dataset.follow !== "yes") return;
    let next = Number(pre.dataset.next);
    const timer = setInterval(look, TRANSCRIPT_MS);
    let busy = false;

    async function look() {
      if (busy || document.hidden) return;
      busy = true;
      try {
        const answer = await fetch(pre.dataset.source + "?from=" + next, { redirect: "error" });
        if (answer.status === 401) return location.reload();
        if (!answer.ok) return;
        append(await answer.text());
        next = Number(answer.headers.get("X-Next"));
        if (answer.headers.get("X-Ended") === "yes") clearInterval(timer);
      } catch {
        // The hub may be starting again: the next look tells.
      } finally {
        busy = false;
      }
    }

    function append(text) {
      if (text === "") return;
      const atEnd = pre.scrollHeight - pre.scrollTop - pre.clientHeight < 40;
      const all = pre.textContent + text;
      pre.textContent = all.length > MAX_TRANSCRIPT ? all.slice(-MAX_TRANSCRIPT) : all;
      if (atEnd) pre.scrollTop = pre.scrollHeight;
    }
  }

  function say(words) {
    const place = document.getElementById("link");
    if (place !== null && place.textContent !== words) place.textContent = words;
  }
})();
