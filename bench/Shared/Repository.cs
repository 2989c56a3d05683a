using System.Diagnostics;

namespace Fanfare.Bench;

/// <summary>The programs that are measured, built from this repository.</summary>
internal static class Repository
{
    private static readonly string s_root = FindRoot();

    /// <summary>Builds a project for release; returns what the compiler says where it does not build, and nothing otherwise.</summary>
    public static async Task<string?> BuildAsync(string project)
    {
        Report.Progress($"Building {project}");
        var start = new ProcessStartInfo("dotnet", ["build", Path.Combine(s_root, project), "-c", "Release", "-nologo", "-v", "quiet"])
        {
            RedirectStandardOutput = true,
        };
        using var build = Process.Start(start)!;
        var output = await build.StandardOutput.ReadToEndAsync();
        await build.WaitForExitAsync();
        return build.ExitCode == 0 ? null : output;
    }

    /// <summary>Returns where a project's program is once it was built.</summary>
    public static string GetAssembly(string project) =>
        Path.Combine(s_root, project, "bin", "Release", "net10.0", $"Fanfare.{Path.GetFileName(project)}.dll");

    /// <summary>Returns where a file of this repository is.</summary>
    public static string GetPath(params string[] names) => Path.Combine([s_root, .. names]);

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Cluster.sln")))
            {
                return folder.FullName;
            }
        }

        throw new MeasurementException($"No folder above {AppContext.BaseDirectory} has Cluster.sln.");
    }
}
