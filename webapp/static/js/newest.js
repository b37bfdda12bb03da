// An element with data-newest-last that scrolls sideways starts at its right end, where the newest data are.
globalThis.bindTo("data-newest-last", (element) => { element.scrollLeft = element.scrollWidth; });
