// The contents list unfolds on narrow screens, and marks where the reader is.
const unfold = document.querySelector(".unfold"), list = document.getElementById("contents");
const fold = (open) => unfold.setAttribute("aria-expanded", String(open));
unfold.addEventListener("click", () => fold(unfold.getAttribute("aria-expanded") !== "true"));
list.addEventListener("click", (event) => { if (event.target.closest("a")) fold(false); });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") fold(false); });

const links = new Map([...list.querySelectorAll("a")].map((link) => [link.hash.slice(1), link]));
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    links.forEach((link) => link.removeAttribute("aria-current"));
    links.get(target.id).setAttribute("aria-current", "true");
  }
}, { rootMargin: "0px 0px -70% 0px" });
links.forEach((_, id) => { const target = document.getElementById(id); if (target) seen.observe(target); });
