"""Vision transformer: a picture as a sequence of patches, read by a transformer encoder.

Paper: Dosovitskiy et al. 2020, "An Image is Worth 16x16 Words", arXiv:2010.11929, eq. 1 to 4, table 1 (ViT-Base).
Parameters: 86,567,656 (vit_b_16) with 1000 classes; 2,721,226 (vit_small) with 10 classes.
Weights accepted: torchvision's vit_b_16.
Differs: the head starts small instead of at zero, so that the first update reaches every layer.

Legend: B pictures, N patches of P x P pixels, D width, h heads, L layers.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from orthogon.errors import ConfigError, ShapeError
from orthogon.models.image_network import ImageNetwork

EPSILON = 1e-6  # of every layer norm


class EncoderBlock(nn.Module):
    """z' = z + MSA(LN(z)); z'' = z' + MLP(LN(z')) (eq. 2 and 3).

    Args:
        d_model: D, a multiple of `num_heads`.
        num_heads: h.
        mlp_size: hidden units of the MLP.
        dropout: after the attention and after each layer of the MLP.
    """

    def __init__(self, d_model: int, num_heads: int, mlp_size: int, dropout: float) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(d_model, eps=EPSILON)
        self.self_attention = nn.MultiheadAttention(d_model, num_heads, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = nn.LayerNorm(d_model, eps=EPSILON)
        self.mlp = nn.Sequential(
            nn.Linear(d_model, mlp_size),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(mlp_size, d_model),
            nn.Dropout(dropout),
        )
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.normal_(layer.bias, std=1e-6)

    def forward(self, z: Tensor) -> Tensor:
        """(B, N + 1, D) -> the same shape."""
        y = self.ln_1(z)
        z = z + self.dropout(self.self_attention(y, y, y, need_weights=False)[0])
        y = self.ln_2(z)
        return z + self.mlp(y)


class Encoder(nn.Module):
    """Position embeddings, L blocks, a last layer norm."""

    chain = True

    def __init__(
        self, length: int, num_layers: int, d_model: int, num_heads: int, mlp_size: int, dropout: float
    ) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.empty(1, length, d_model).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(
            OrderedDict(
                (f"encoder_layer_{i}", EncoderBlock(d_model, num_heads, mlp_size, dropout)) for i in range(num_layers)
            )
        )
        self.ln = nn.LayerNorm(d_model, eps=EPSILON)

    def forward(self, z: Tensor) -> Tensor:
        """(B, N + 1, D) -> the same shape."""
        return self.ln(self.layers(self.dropout(z + self.pos_embedding)))


class VisionTransformer(ImageNetwork):
    """Patches of P x P pixels projected to D, a class token before them, the encoder, a dense layer on the token.

    Args:
        image_size: height and width of every picture, in pixels, a multiple of `patch_size`: position embeddings are
            learned for this size alone.
        patch_size: P.
        num_layers, d_model, num_heads, mlp_size: L, D, h, hidden units of each MLP.
        num_classes: K.
        in_channels: C of the pictures.
        dropout: see EncoderBlock; also on the embedded patches.
    Raises:
        ConfigError: image_size is no multiple of patch_size, or d_model none of num_heads.
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        d_model: int,
        num_heads: int,
        mlp_size: int,
        num_classes: int = 1000,
        in_channels: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(num_classes, in_channels, min_size=image_size)
        for name, whole, unit, part in (
            ("image_size", image_size, "patch_size", patch_size),
            ("d_model", d_model, "num_heads", num_heads),
        ):
            if part < 1 or whole < 1 or whole % part:
                raise ConfigError(
                    f"{name} is {whole}, {unit} is {part}", "VisionTransformer", f"{unit} must divide {name}."
                )
        self.image_size, self.patch_size = image_size, patch_size
        self.conv_proj = nn.Conv2d(in_channels, d_model, patch_size, patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, d_model))
        num_patches = (image_size // patch_size) ** 2
        self.encoder = Encoder(num_patches + 1, num_layers, d_model, num_heads, mlp_size, dropout)
        head = nn.Linear(d_model, num_classes)
        self.heads = nn.Sequential(OrderedDict(head=head))
        nn.init.trunc_normal_(self.conv_proj.weight, std=(in_channels * patch_size**2) ** -0.5)
        nn.init.trunc_normal_(head.weight, std=0.02)
        nn.init.zeros_(head.bias)
        if self.conv_proj.bias is not None:
            nn.init.zeros_(self.conv_proj.bias)

    def check(self, images: Tensor) -> None:
        """As for every picture network; also refuse another size than `image_size`."""
        if images.ndim == 4 and tuple(images.shape[2:]) != (self.image_size, self.image_size):
            raise ShapeError(
                f"pictures of {images.shape[2]} x {images.shape[3]} pixels",
                type(self).__name__,
                f"It takes {self.image_size} x {self.image_size} and no other; resize them, or build it with another "
                "image_size.",
            )
        super().check(images)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, image_size, image_size) -> logits (B, K)."""
        self.check(images)
        z = self.conv_proj(images).flatten(2).transpose(1, 2)  # (B, N, D)
        z = torch.cat([self.class_token.expand(z.shape[0], -1, -1), z], dim=1)
        z = self.encoder(z)
        return self.heads(z[:, 0])


def vit_b_16(
    num_classes: int = 1000, in_channels: int = 3, image_size: int = 224, dropout: float = 0.0
) -> VisionTransformer:
    """ViT-B/16: 12 layers, width 768, 12 heads."""
    return VisionTransformer(image_size, 16, 12, 768, 12, 3072, num_classes, in_channels, dropout)


def vit_small(
    num_classes: int = 10, in_channels: int = 3, image_size: int = 64, patch_size: int = 8, dropout: float = 0.0
) -> VisionTransformer:
    """Six layers, width 192, 3 heads: small enough to train from nothing on pictures of 64 x 64.

    It is not the ViT-S of later papers, which is 384 wide and 12 deep.
    """
    return VisionTransformer(image_size, patch_size, 6, 192, 3, 768, num_classes, in_channels, dropout)
