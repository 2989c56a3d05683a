using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Apis.Templates;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway;

/// <summary>An option of the command line that stands for a setting.</summary>
/// <param name="Name">The option, such as <c>--backplane</c>.</param>
/// <param name="ValueName">What its value is called in the help.</param>
/// <param name="Setting">The setting, such as <c>Fanfare:Backplane</c>.</param>
/// <param name="Description">What it does, in a sentence.</param>
internal sealed record ProgramOption(string Name, string ValueName, string Setting, string Description);

/// <summary>A program that the gateway runs in: the gateway alone, or one that joins it to a cluster.</summary>
internal sealed class GatewayProgram
{
    /// <summary>The gateway alone.</summary>
    public static readonly GatewayProgram Standalone = new()
    {
        ServiceName = "fanfare-gateway",
        Description = "Fanfare, a WebSocket broker that speaks AWS AppSync Events.",
        Options =
        [
            new ProgramOption(
                "--backplane", "NAME", "Fanfare:Backplane",
                "What joins this gateway to others: embedded (nothing) or redis (ConnectionStrings:redis). Default: embedded"),
        ],
        OptionTypes = [typeof(StandaloneOptions)],
        Configure = StandaloneOptions.Configure,
    };

    /// <summary>The name that telemetry goes under.</summary>
    public required string ServiceName { get; init; }

    /// <summary>What <c>--help</c> says first.</summary>
    public required string Description { get; init; }

    /// <summary>Options besides those of the gateway.</summary>
    public IReadOnlyList<ProgramOption> Options { get; init; } = [];

    /// <summary>Sections of the configuration, besides those of the gateway, that the command line may set.</summary>
    public IReadOnlyList<string> Sections { get; init; } = [];

    /// <summary>Types that are bound to <c>Fanfare</c> besides <see cref="GatewayOptions"/>.</summary>
    public IReadOnlyList<Type> OptionTypes { get; init; } = [];

    /// <summary>Whether clients are served, given the configuration; where they are not, there is health and no more.</summary>
    public Func<IConfiguration, bool> ServesClients { get; init; } = static _ => true;

    /// <summary>Adds the program's own services to the gateway's.</summary>
    public Action<WebApplicationBuilder> Configure { get; init; } = static _ => { };

    /// <summary>Runs until a signal ends it.</summary>
    /// <param name="args">The command line.</param>
    /// <returns>The exit code: 0, 1 where it could not start, 2 for a wrong command line.</returns>
    public async Task<int> RunAsync(string[] args)
    {
        if (new GatewayCommandLine(this).TryAnswer(args))
        {
            return 0;
        }

        try
        {
            await using var app = GatewayApplication.Create(args, program: this);
            await GatewayApplication.StartAsync(app);
            StartBanner.Write(
                Console.Out,
                app.Urls,
                app.Services.GetService<IOptions<GatewayOptions>>()?.Value.PublicUrl,
                app.Services.GetService<ServedModel>());
            await app.WaitForShutdownAsync();
            return 0;
        }
        catch (GatewayStartException e)
        {
            Console.Error.WriteLine($"fanfare: {e.Message}");
            return e.ExitCode;
        }
        catch (TemplateException e)
        {
            foreach (var error in e.Errors)
            {
                Console.Error.WriteLine($"fanfare: {error}");
            }

            return 1;
        }
        catch (OptionsValidationException e)
        {
            foreach (var failure in e.Failures)
            {
                Console.Error.WriteLine($"fanfare: {failure}");
            }

            return 1;
        }
        catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException
            or InvalidOperationException or FormatException)
        {
            // A port in use, a file that can't be read, a setting that can't be converted: the message names it.
            var hasReason = e is InvalidOperationException or InvalidDataException && e.InnerException is not null;
            var message = hasReason ? $"{e.Message} {e.GetBaseException().Message}" : e.Message;
            Console.Error.WriteLine($"fanfare: {message.ReplaceLineEndings(" ")}");
            return 1;
        }
    }
}
