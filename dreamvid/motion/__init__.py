"""Motion of pixels: optical flow, warp and trust, cameras, and detection of cuts.

`dreamvid.types` defines signs and units of flow: backward, in pixels, channels (dx, dy).
"""

from dreamvid.motion.flow import create_flow
from dreamvid.motion.shots import content_change, create_cut_detector
from dreamvid.motion.warp import chain, trust, warp

__all__ = ["chain", "content_change", "create_cut_detector", "create_flow", "trust", "warp"]
