// Binds behaviours to elements. `bindTo("data-poll", bind)` calls bind(element, release) once for each element with that
// attribute, also for elements that HTMX swaps in later. After release() the element may be bound again.
// Behaviours that listen on the whole document (copying, keys, problems) need no binding.
const behaviours = new Map();

function bindWithin(root) {
  for (const [attribute, { bind, bound }] of behaviours) {
    const found = [...root.querySelectorAll(`[${attribute}]`)];
    if (root.nodeType === Node.ELEMENT_NODE && root.hasAttribute(attribute)) found.push(root);
    for (const element of found) {
      if (bound.has(element)) continue;
      bound.add(element);
      bind(element, () => bound.delete(element));
    }
  }
}

const observer = new MutationObserver((changes) => {
  for (const { type, target, addedNodes } of changes) {
    const changed = type === "attributes" ? [target] : addedNodes;
    for (const node of changed) if (node.nodeType === Node.ELEMENT_NODE && node.isConnected) bindWithin(node);
  }
});

globalThis.bindTo = (attribute, bind) => {
  behaviours.set(attribute, { bind, bound: new WeakSet() });
  observer.disconnect();
  observer.observe(document, { subtree: true, childList: true, attributeFilter: [...behaviours.keys()] });
  bindWithin(document);
};
