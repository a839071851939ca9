"""Loss layers: each is its function with settings."""
from gpuflow.nn import functional as F
from gpuflow.nn.made import made
from gpuflow.ops.loss import REDUCTIONS

__all__ = ["BCELoss", "BCEWithLogitsLoss", "CosineEmbeddingLoss", "CrossEntropyLoss", "GaussianNLLLoss",
           "HingeEmbeddingLoss", "KLDivLoss", "L1Loss", "MSELoss", "MarginRankingLoss", "MultiLabelSoftMarginLoss",
           "MultiMarginLoss", "NLLLoss", "PoissonNLLLoss", "SmoothL1Loss", "SoftMarginLoss", "TripletMarginLoss",
           "TripletMarginWithDistanceLoss"]


def _loss(name, function, inputs="input, label", reductions=REDUCTIONS, **settings):
    return made(name, function, settings, inputs, prefix="", shown=False, among={"reduction": reductions},
                module=__name__)


BCELoss = _loss("BCELoss", F.binary_cross_entropy, weight=None, reduction="mean")
BCEWithLogitsLoss = _loss("BCEWithLogitsLoss", F.binary_cross_entropy_with_logits, "logit, label", weight=None,
                          reduction="mean", pos_weight=None)
CosineEmbeddingLoss = _loss("CosineEmbeddingLoss", F.cosine_embedding_loss, "input1, input2, label", margin=0,
                            reduction="mean")
CrossEntropyLoss = _loss("CrossEntropyLoss", F.cross_entropy, weight=None, ignore_index=-100, reduction="mean",
                         soft_label=False, axis=-1, use_softmax=True, label_smoothing=0.0)
GaussianNLLLoss = _loss("GaussianNLLLoss", F.gaussian_nll_loss, "input, label, variance", full=False, epsilon=1e-6,
                        reduction="mean")
HingeEmbeddingLoss = _loss("HingeEmbeddingLoss", F.hinge_embedding_loss, margin=1.0, reduction="mean")
KLDivLoss = _loss("KLDivLoss", F.kl_div, reductions=(*REDUCTIONS, "batchmean"), reduction="mean", log_target=False)
L1Loss = _loss("L1Loss", F.l1_loss, reduction="mean")
MSELoss = _loss("MSELoss", F.mse_loss, reduction="mean")
MarginRankingLoss = _loss("MarginRankingLoss", F.margin_ranking_loss, "input, other, label", margin=0.0,
                          reduction="mean")
MultiLabelSoftMarginLoss = _loss("MultiLabelSoftMarginLoss", F.multi_label_soft_margin_loss, weight=None,
                                 reduction="mean")
MultiMarginLoss = _loss("MultiMarginLoss", F.multi_margin_loss, p=1, margin=1.0, weight=None, reduction="mean")
NLLLoss = _loss("NLLLoss", F.nll_loss, weight=None, ignore_index=-100, reduction="mean")
PoissonNLLLoss = _loss("PoissonNLLLoss", F.poisson_nll_loss, log_input=True, full=False, epsilon=1e-8,
                       reduction="mean")
SmoothL1Loss = _loss("SmoothL1Loss", F.smooth_l1_loss, reduction="mean", delta=1.0, is_huber=True)
SoftMarginLoss = _loss("SoftMarginLoss", F.soft_margin_loss, reduction="mean")
TripletMarginLoss = _loss("TripletMarginLoss", F.triplet_margin_loss, "input, positive, negative", margin=1.0, p=2.0,
                          epsilon=1e-6, swap=False, reduction="mean")
TripletMarginWithDistanceLoss = _loss("TripletMarginWithDistanceLoss", F.triplet_margin_with_distance_loss,
                                      "input, positive, negative", distance_function=None, margin=1.0, swap=False,
                                      reduction="mean")
