// Checks in the browser what the server gave it; the result is in the attribute data-state of <html>: "ok", or the
// names of the checks that failed.
import { check, finish } from "./checks.js";

await check("style", () => getComputedStyle(document.querySelector("header")).display === "flex");
await check("module", () => true);
await check("vector", () => loaded(document.querySelector("header img")));
await check("picture", async () => {
	const image = document.getElementById("picture");
	return await loaded(image) && image.naturalWidth === 256;
});
await check("font", async () => {
	const faces = await document.fonts.load('16px "Sample"');
	return faces.length === 1;
});
await check("media", async () => {
	const reply = await fetch("media/tone.wav", { headers: { Range: "bytes=0-3" } });
	return reply.status === 206 && await reply.text() === "RIFF";
});
await check("rewrite", async () => {
	const reply = await fetch("app/any/path?x=1");
	return reply.ok && (await reply.text()).includes('id="app"');
});
await check("data", async () => {
	const reply = await fetch("data.json");
	return reply.ok && (await reply.json()).served === true;
});
finish();

async function loaded(image) {
	await image.decode();
	return image.complete && image.naturalWidth > 0;
}
