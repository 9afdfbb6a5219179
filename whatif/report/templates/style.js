// The page's policy lets no style attribute act, and plotly sets some as attributes: set them as properties.
(() => {
  const plain = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (name, value) {
    if (name === "style") this.style.cssText = value;
    else plain.call(this, name, value);
  };
})();
