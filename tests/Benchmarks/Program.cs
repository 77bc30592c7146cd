using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using Perfolizer.Horology;

// Short iterations: two hundred of them take less time than the default's fifteen, and their median is steadier
// on a machine that does other things too.
var job = Job.Default
    .WithWarmupCount(6)
    .WithIterationCount(20)
    .WithIterationTime(TimeInterval.FromMilliseconds(100));

var config = DefaultConfig.Instance
    .AddJob(job)
    .AddColumn(StatisticColumn.Median)
    .HideColumns(Column.RatioSD, Column.Gen0, Column.Gen1, Column.Gen2)
    .WithOptions(ConfigOptions.JoinSummary | ConfigOptions.DisableLogFile);

BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args, config);
