namespace Fanfare.ServiceDefaults;

/// <summary>The names of the meters and activity sources that leave the process, whichever way they leave it.</summary>
/// <remarks>A name that ends in <c>*</c> stands for all names that begin with what precedes it.</remarks>
internal static class TelemetrySources
{
    public static readonly string[] Meters =
        ["Fanfare.*", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime"];

    public static readonly string[] Activities = ["Fanfare.*", "Microsoft.AspNetCore"];

    public static bool IncludesMeter(string name)
    {
        foreach (string pattern in Meters)
        {
            bool matches = pattern.EndsWith('*')
                ? name.AsSpan().StartsWith(pattern.AsSpan(0, pattern.Length - 1), StringComparison.Ordinal)
                : name == pattern;
            if (matches)
                return true;
        }

        return false;
    }
}
