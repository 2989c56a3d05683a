namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>Registers what calling data sources needs.</summary>
internal static class DataSourceServices
{
    /// <summary>Adds the directory of data sources and their connections.</summary>
    public static void AddDataSources(this IServiceCollection services)
    {
        services.AddSingleton<DataSourceHttp>();
        services.AddSingleton<DataSourceDirectory>();
    }
}
