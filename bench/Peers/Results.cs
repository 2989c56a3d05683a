namespace Fanfare.Peers;

/// <summary>What was measured, by load, server and round.</summary>
internal sealed class Results
{
    private readonly Dictionary<(Load Load, MeasuredServer Server), List<Dictionary<string, double>?>> _rounds = [];

    /// <summary>Adds what a round gave.</summary>
    /// <param name="load">The load.</param>
    /// <param name="server">The server.</param>
    /// <param name="figures">The figures, by the generator's names; null where there is none to report.</param>
    public void Add(Load load, MeasuredServer server, Dictionary<string, double>? figures)
    {
        if (!_rounds.TryGetValue((load, server), out var rounds))
        {
            _rounds[(load, server)] = rounds = [];
        }

        rounds.Add(figures);
    }

    /// <summary>Returns the median of a figure, in the unit of tables; null where no round has it.</summary>
    public double? GetMedian(Load load, MeasuredServer server, Measure measure) => Median(GetRounds(load, server).Select(round => Get(round, measure)));

    /// <summary>Returns the median over the rounds of the ratio of two servers, since a machine may be busier in one round than in the next.</summary>
    public double? GetRatio(Load load, MeasuredServer server, MeasuredServer other, Measure measure) =>
        Median(GetRounds(load, server).Zip(GetRounds(load, other), (one, two) => Get(one, measure) / Get(two, measure)));

    /// <summary>Returns the median over the rounds of how a figure of one load compares with that of another one.</summary>
    public double? GetGrowth(Load from, Load to, MeasuredServer server, Measure measure) =>
        Median(GetRounds(to, server).Zip(GetRounds(from, server), (one, two) => Get(one, measure) / Get(two, measure)));

    /// <summary>Returns the peer that is best at something; null where none was measured.</summary>
    public MeasuredServer? FindBestPeer(Load load, Measure measure) =>
        (from key in _rounds.Keys
         where key.Load == load && key.Server.IsPeer
         let median = GetMedian(load, key.Server, measure)
         where median is not null
         orderby measure.IsCost ? median : -median
         select key.Server).FirstOrDefault();

    private List<Dictionary<string, double>?> GetRounds(Load load, MeasuredServer server) => _rounds.GetValueOrDefault((load, server)) ?? [];

    private static double? Get(Dictionary<string, double>? round, Measure measure) =>
        round is not null && round.TryGetValue(measure.Key, out var value) ? value * measure.Factor : null;

    private static double? Median(IEnumerable<double?> values)
    {
        double[] known = [.. values.OfType<double>().Where(double.IsFinite)];
        return known.Length == 0 ? null : Statistics.GetMedian(known);
    }
}
