/** Narrows lists and tables. Without it everything is there to read; it handles text only as text. */
export const script = `
document.documentElement.classList.add('js');
for (const tools of document.querySelectorAll('.tools')) {
  const items = [...document.getElementById(tools.dataset.for).querySelectorAll('[data-item]')];
  const text = tools.querySelector('input');
  const select = tools.querySelector('select');
  const shown = tools.querySelector('output');
  const narrow = () => {
    const words = text.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let many = 0;
    for (const item of items) {
      const content = item.textContent.toLowerCase();
      const fits = words.every((word) => content.includes(word)) &&
        (!select || select.value === '' || item.dataset.item === select.value);
      item.hidden = !fits;
      if (fits) many += 1;
    }
    shown.textContent = many === items.length ? '' : many + ' of ' + items.length;
  };
  text.addEventListener('input', narrow);
  if (select) select.addEventListener('change', narrow);
}
addEventListener('beforeprint', () => {
  for (const each of document.querySelectorAll('details.about')) each.open = true;
});
`;
