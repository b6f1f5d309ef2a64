"use strict";
// Keeps the page as it is at plait, until everything has ended or plait is gone.
(async () => {
  const main = document.querySelector("main");
  if (main.dataset.on === "true") return; // the page goes on by itself
  const parser = new DOMParser();
  for (let lost = 0; lost < 5 && main.dataset.ended !== "true";) {
    await new Promise((done) => setTimeout(done, 1000));
    try {
      const answer = await fetch(location.pathname, { cache: "no-store" });
      if (!answer.ok) return;
      const fresh = parser.parseFromString(await answer.text(), "text/html");
      for (const id of ["top", "act", "list"]) {
        const now = document.getElementById(id), next = fresh.getElementById(id);
        if (now.innerHTML === next.innerHTML) continue;
        const focus = now.contains(document.activeElement) ? document.activeElement.id : "";
        now.replaceChildren(...next.childNodes);
        if (focus) document.getElementById(focus)?.focus();
      }
      document.title = fresh.title;
      main.dataset.ended = fresh.querySelector("main").dataset.ended;
      lost = 0;
    } catch {
      lost++;
    }
  }
})();
