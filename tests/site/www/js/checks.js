const failed = [];

export async function check(name, test) {
	let ok = false;
	try {
		ok = await test();
	} catch (error) {
		console.error(name, error);
	}
	if (!ok)
		failed.push(name);
	document.querySelector(`[data-check=${name}]`).className = ok ? "ok" : "failed";
}

export function finish() {
	document.documentElement.dataset.state = failed.join(" ") || "ok";
}
