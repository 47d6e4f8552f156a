"""Arrays of numbers and copied rows; clusters, folds, block lengths, the bootstrap, Student's t and the jackknife."""

__all__ = [
    "MOST_CLUSTERS",
    "REPLICATES",
    "Clusters",
    "balanced_folds",
    "bootstrap_interval",
    "bootstrap_weights",
    "cluster_deviations",
    "cluster_quantile",
    "copied_rows",
    "correlation_length",
    "cut_cells",
    "equal_clusters",
    "few_clusters",
    "full_precision",
    "group_clusters",
    "hash_rows",
    "independent_rows",
    "is_series",
    "jackknife_error",
    "label_correlation_length",
    "make_clusters",
    "mean_interval",
    "merge_cells",
    "number_groups",
    "number_labels",
    "random_folds",
    "read_array",
    "skewed_addition",
    "share_interval",
    "t_quantile",
]

from infodil.statistics.arrays import read_array
from infodil.statistics.blocks import MOST_CLUSTERS, correlation_length, cut_cells, merge_cells
from infodil.statistics.bootstrap import REPLICATES, bootstrap_interval, bootstrap_weights
from infodil.statistics.cluster_means import cluster_deviations, cluster_quantile, equal_clusters
from infodil.statistics.clusters import Clusters, few_clusters
from infodil.statistics.copies import copied_rows, full_precision, hash_rows
from infodil.statistics.folds import balanced_folds, random_folds
from infodil.statistics.grouping import group_clusters, independent_rows, make_clusters
from infodil.statistics.jackknife import jackknife_error
from infodil.statistics.labels import number_groups, number_labels
from infodil.statistics.series import is_series, label_correlation_length
from infodil.statistics.student import mean_interval, share_interval, skewed_addition, t_quantile
