// Runs last: begins the page of a cube.
(async () => {
  const page = new Cube(JSON.parse(byId("model").textContent));
  await page.start();
  expose(() => page.state());
})().catch(failed);
