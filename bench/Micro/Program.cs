using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Fanfare.Micro;
using Perfolizer.Horology;

// Many short iterations rather than few long ones: on a machine that others use too, the median of those is steadier. In this
// process, since the gateway's types are internal and generating, restoring and building a project takes longer than measuring.
var job = Job.Default
    .WithToolchain(InProcessEmitToolchain.Instance)
    .WithWarmupCount(3)
    .WithIterationCount(15)
    .WithIterationTime(TimeInterval.FromMilliseconds(100))
    .WithId("Micro");
var config = DefaultConfig.Instance
    .AddJob(job)
    .AddColumn(StatisticColumn.Median, StatisticColumn.Min)
    .HideColumns(Column.StdDev, Column.RatioSD)
    .WithOptions(ConfigOptions.JoinSummary);
BenchmarkSwitcher.FromAssembly(typeof(AuthorizationBenchmarks).Assembly).Run(args, config);
