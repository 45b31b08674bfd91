// Light and dark: as the system says, or as chosen here.
const CHOICES = ["system", "light", "dark"];
const system = matchMedia("(prefers-color-scheme: dark)");
const themed = new Set();
let choice = "system";
const dark = () => choice === "dark" || (choice === "system" && system.matches);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function paint() {
  document.documentElement.classList.toggle("dark", dark());
  const button = document.querySelector("button.theme");
  button.textContent = `Colours: ${choice}`;
  button.setAttribute("aria-label", `Colours: ${choice === "system" ? "as the system" : choice}`);
  for (const redraw of themed) redraw();
}

document.querySelector("button.theme").addEventListener("click", () => {
  choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
  paint();
});
system.addEventListener("change", paint);
paint();
