// A figure is made when it comes near: what no one scrolls to costs nothing.
const near = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    views[target.dataset.view](target, target.dataset.section);
    target.dataset.ready = "true";
  }
}, { rootMargin: "300px" });
document.querySelectorAll(".view").forEach((view) => near.observe(view));
