namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>The repository that these tests were built from.</summary>
public static class Repository
{
    /// <summary>Its root: the folder above the tests that has the solution.</summary>
    public static string Root { get; } = FindRoot();

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Cluster.sln")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException($"No folder above {AppContext.BaseDirectory} has Cluster.sln.");
    }
}
