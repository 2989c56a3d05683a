using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Fanfare.Micro;
using Perfolizer.Horology;

// Many short iterations rather than few long ones: on a machine that others use too, the median of those is steadier. So long a
// warm-up because methods are compiled anew in the background as they turn out to be hot, which lags where cores are busy. In this
// process, since the gateway's types are internal and generating, restoring and building a project takes longer than measuring.
var job = Job.Default
    .WithToolchain(InProcessEmitToolchain.Instance)
    .WithWarmupCount(20)
    .WithIterationCount(15)
    .WithIterationTime(TimeInterval.FromMilliseconds(100))
    .WithId("Micro");
var config = DefaultConfig.Instance
    .AddJob(job)
    .AddColumn(StatisticColumn.Median, StatisticColumn.Min)
    .HideColumns(Column.StdDev, Column.RatioSD)
    .WithOptions(ConfigOptions.JoinSummary);
BenchmarkSwitcher.FromAssembly(typeof(AuthorizationBenchmarks).Assembly).Run(args, config);
