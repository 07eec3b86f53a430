// Runs last: begins the page of a waterfall.
(async () => {
  const page = new Waterfall(JSON.parse(byId("model").textContent));
  await page.start();
  expose(() => page.state());
})().catch(failed);
