(() => {
  const find = (element) => {
    const player = element.closest && element.closest(".skunfold-player");
    if (!player) return null;
    const [noisy, enhanced] = player.querySelectorAll("audio");
    const heard = player.dataset.heard === "noisy" ? noisy : enhanced;
    return { player, heard, other: heard === noisy ? enhanced : noisy };
  };
  const clock = (seconds) =>
    `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  const show = ({ player, heard }) => {
    const x = 600 * heard.currentTime / (heard.duration || 1);
    const line = player.querySelector(".position");
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
    player.querySelector(".time").textContent =
      `${clock(heard.currentTime)} / ${clock(heard.duration || 0)}`;
    player.querySelector(".play").textContent = heard.paused ? "Play" : "Pause";
  };
  document.addEventListener("click", (event) => {
    const found = find(event.target);
    if (!found) return;
    const { player, heard, other } = found;
    const button = event.target.closest("button");
    if (button && button.value && button.value !== player.dataset.heard) {
      const playing = !heard.paused;
      heard.pause();
      other.currentTime = heard.currentTime;
      player.dataset.heard = button.value;
      for (const each of player.querySelectorAll("button[value]"))
        each.setAttribute("aria-pressed", each === button);
      if (playing) other.play();
    } else if (button && !button.value) {
      heard.paused ? heard.play() : heard.pause();
    } else if (event.target.closest("svg")) {
      const box = event.target.closest("svg").getBoundingClientRect();
      heard.currentTime = heard.duration * (event.clientX - box.left) / box.width;
    }
    show(find(player));
  });
  for (const name of ["timeupdate", "play", "pause", "loadedmetadata", "seeked"])
    document.addEventListener(name, (event) => {
      const found = find(event.target);
      if (found && event.target === found.heard) show(found);
    }, true);
})();
