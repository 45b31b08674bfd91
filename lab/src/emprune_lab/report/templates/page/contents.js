// The contents list unfolds on narrow screens, and marks where the reader is.
const unfold = document.querySelector(".unfold"), list = document.getElementById("contents");
const fold = (open) => unfold.setAttribute("aria-expanded", String(open));
unfold.addEventListener("click", () => fold(unfold.getAttribute("aria-expanded") !== "true"));
list.addEventListener("click", (event) => { if (event.target.closest("a")) fold(false); });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") fold(false); });

const links = new Map([...list.querySelectorAll("a")].map((link) => [link.hash.slice(1), link]));
const headings = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
function mark() {
  const passed = headings.filter((heading) => heading.getBoundingClientRect().top < 0.3 * innerHeight).at(-1);
  links.forEach((link) => link.removeAttribute("aria-current"));
  if (passed) links.get(passed.id).setAttribute("aria-current", "true");
}
addEventListener("scroll", () => requestAnimationFrame(mark), { passive: true });
