// What scrolls sideways and has its newest at the right, data-newest-last, starts there.
function showNewest(root) {
  for (const element of root.querySelectorAll("[data-newest-last]")) element.scrollLeft = element.scrollWidth;
}

showNewest(document);
