"use strict";
(() => {
  const one = (selector) => document.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const stage = one("#stage"), footage = one("#footage"), picture = one("#picture");
  const wipe = one("#wipe"), line = one("#line"), play = one("#play"), seek = one("#seek"), sound = one("#sound");
  const isFilm = footage.tagName === "VIDEO";
  const brush = picture.getContext("2d");
  const seconds = isFilm ? Number(seek.max) : 0;

  // The footage holds the source above the result, so that the two can never be out of step.
  function draw() {
    const { width, height } = picture;
    const whole = footage.videoHeight || footage.naturalHeight;
    if (!whole) return;
    brush.drawImage(footage, 0, wipe ? whole / 2 : 0, width, height, 0, 0, width, height);
    if (!wipe) return;
    const share = wipe.value / 100, left = Math.round(share * width);
    if (left) brush.drawImage(footage, 0, 0, left, height, 0, 0, left, height);
    line.style.left = 100 * share + "%";
    one(".left").classList.toggle("is-off", share < 0.15);
    one(".right").classList.toggle("is-off", share > 0.85);
  }

  if (wipe) {
    const wipeTo = (event) => {
      const box = stage.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      wipe.value = Math.round(100 * Math.min(1, Math.max(0, share)));
      draw();
    };
    stage.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      stage.setPointerCapture(event.pointerId);
      wipeTo(event);
      wipe.focus({ preventScroll: true, focusVisible: false });
      event.preventDefault();
    });
    stage.addEventListener("pointermove", (event) => {
      if (stage.hasPointerCapture(event.pointerId)) wipeTo(event);
    });
    wipe.addEventListener("input", draw);
  }

  function showTime() {
    const now = footage.currentTime;
    seek.value = now;
    one("#clock").textContent = now.toFixed(2) + " / " + seconds.toFixed(2) + " s";
    for (const head of all(".playhead")) head.style.left = 100 * Math.min(1, now / seconds) + "%";
  }

  function goTo(time) {
    document.body.classList.add("has-played");
    footage.currentTime = Math.min(Math.max(0, time), Math.max(0, seconds - 0.001));
  }

  function advance() {
    draw();
    showTime();
    if (!footage.paused) requestAnimationFrame(advance);
  }

  function toggle() {
    if (footage.paused) footage.play(); else footage.pause();
  }

  if (isFilm) {
    // Not every browser plays a film from a data URI; every one plays it from memory.
    const bytes = Uint8Array.from(atob(footage.dataset.film), (letter) => letter.charCodeAt(0));
    footage.src = URL.createObjectURL(new Blob([bytes], { type: footage.dataset.type }));
    for (const name of ["play", "pause"]) {
      footage.addEventListener(name, () => {
        document.body.classList.add("has-played");
        play.classList.toggle("is-moving", !footage.paused);
        play.setAttribute("aria-label", footage.paused ? "Play" : "Pause");
        advance();
      });
    }
    for (const name of ["canplay", "seeked"]) footage.addEventListener(name, advance);
    // A frame may come later than the event that tells of it.
    if (footage.requestVideoFrameCallback) {
      const onFrame = () => { draw(); footage.requestVideoFrameCallback(onFrame); };
      footage.requestVideoFrameCallback(onFrame);
    }
    // A film that was never sought or played has no frame to draw yet.
    footage.addEventListener("loadedmetadata", () => { footage.currentTime = 0.001; }, { once: true });
    play.addEventListener("click", toggle);
    seek.addEventListener("input", () => goTo(Number(seek.value)));
    if (sound) sound.addEventListener("click", () => {
      footage.muted = !footage.muted;
      sound.setAttribute("aria-pressed", String(!footage.muted));
    });
    for (const button of all(".moment")) {
      button.addEventListener("click", () => {
        goTo(Number(button.dataset.time));
        stage.scrollIntoView({ block: "nearest" });
      });
    }
    for (const plot of all(".plot")) {
      plot.addEventListener("click", (event) => {
        const box = plot.getBoundingClientRect();
        goTo((event.clientX - box.left) / box.width * seconds);
      });
    }
    document.addEventListener("keydown", (event) => {
      const isFree = event.target === document.body || event.target === wipe;
      if (event.key !== " " || !isFree || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      toggle();
    });
  } else if (footage.complete) {
    draw();
  } else {
    footage.addEventListener("load", draw);
  }

  one("#copy").addEventListener("click", async (event) => {
    const command = one("#command"), button = event.currentTarget;
    try {
      await navigator.clipboard.writeText(command.textContent);
    } catch {
      getSelection().selectAllChildren(command);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
})();
